// envoy/monitoring, as docs/monitoring.md says that users name it in kustomizations of their own.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';

import { parse } from 'yaml';

import { eventually, inScratch } from './envoy.js';
import { inPrometheus, prometheus } from './prometheus.js';
import { problems } from './schemas.js';
import { inRepository, readYaml, render, served } from './support.js';

const DOCUMENT = readFileSync(inRepository('docs/monitoring.md'), 'utf8');
const DASHBOARD = readFileSync(inRepository('envoy/grafana/tracewarden.json'), 'utf8');

/** A section of the document, without those below it. */
function sectionOf(title) {
  const [, section] = DOCUMENT.split(new RegExp(`^#{2,3} ${title}$`, 'm'));
  return section.split(/^#{2,3} /m)[0];
}

/** What the files of a section render, next to a copy of this repository. */
function renderedBy(title, change = (text) => text) {
  return inScratch((path) => {
    for (const name of ['monitoring', 'grafana']) cpSync(inRepository(`envoy/${name}`), path(`tracewarden/envoy/${name}`), { recursive: true });
    for (const [, file, text] of sectionOf(title).matchAll(/^```yaml\n# (\S+)\n([^]*?)^```$/gm)) {
      mkdirSync(dirname(path(file)), { recursive: true });
      writeFileSync(path(file), change(text));
    }
    return render(path('monitoring'));
  });
}

/** The document of a kind, of which there is one. */
function only(kind, documents) {
  const found = documents.filter((document) => document.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0];
}

function alertsIn(documents) {
  const { groups } = only('PrometheusRule', documents).spec;
  return groups.flatMap(({ name, rules }) => rules.filter(({ alert }) => alert).map((rule) => ({ group: name, ...rule })));
}

test('the component has what `make reference` writes', () => {
  inScratch((path) => {
    execFileSync(process.env.PYTHON || 'python3', [inRepository('make/monitoring.py'), path('.')]);
    for (const file of ['rules.yaml', 'runbook/patch.yaml']) {
      const told = `envoy/monitoring/${file} is stale: make reference writes it`;
      assert.equal(readFileSync(inRepository(`envoy/monitoring/${file}`), 'utf8'), readFileSync(path(file), 'utf8'), told);
    }
  });
});

test('it renders a monitor, the rules and the dashboard, in the namespace and with the labels of the user', () => {
  const documents = renderedBy('One component');
  assert.deepEqual(documents.map(({ kind }) => kind).sort(), ['ConfigMap', 'PodMonitor', 'PrometheusRule']);
  for (const { kind, metadata } of documents) {
    assert.equal(metadata.namespace, 'monitoring', kind);
    assert.equal(metadata.labels.release, 'kube-prometheus-stack', kind);
  }
  const dashboard = only('ConfigMap', documents);
  assert.equal(dashboard.metadata.labels.grafana_dashboard, '1');
  assert.deepEqual([dashboard.metadata.name, dashboard.data], ['tracewarden-dashboard', { 'tracewarden.json': DASHBOARD }]);
});

test('without Istio the monitor can be left out', () => {
  assert.deepEqual(renderedBy('Without Istio').map(({ kind }) => kind).sort(), ['ConfigMap', 'PrometheusRule']);
});

test('the rules are those of the files, of which promtool has no complaint', () => {
  const { spec } = only('PrometheusRule', renderedBy('One component'));
  const files = ['expected', 'rules'].map((name) => readYaml(`envoy/prometheus/tracewarden.${name}.yaml`));
  assert.deepEqual(spec.groups, files.flatMap(({ groups }) => groups));
  inScratch((path) => {
    writeFileSync(path('rules.json'), JSON.stringify(spec));
    const { status, stderr } = spawnSync(inRepository('.venv/bin/promtool'), ['check', 'rules', path('rules.json')], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });
});

test('the operator knows every field, and a mistake is found', () => {
  for (const title of ['One component', 'Links to the runbook, and the severity', 'Where the filter should run', 'Kiali']) {
    for (const document of renderedBy(title).filter(({ kind }) => kind !== 'ConfigMap')) {
      assert.deepEqual(problems(document), [], `${title}: ${document.kind}`);
    }
  }
  const mistakes = [
    ['PodMonitor', (spec) => (spec.podMetricsEndpoints[0].relabeling = [])],
    ['PodMonitor', (spec) => (spec.podMetricsEndpoints[0].relabelings[0].action = 'kept')],
    ['PodMonitor', (spec) => delete spec.selector],
    ['PrometheusRule', (spec) => (spec.groups[0].rules[0].exprs = 'up')],
    ['PrometheusRule', (spec) => delete spec.groups[0].rules[0].expr],
  ];
  for (const [kind, mistake] of mistakes) {
    const document = structuredClone(only(kind, renderedBy('One component')));
    mistake(document.spec);
    assert.notDeepEqual(problems(document), [], `${kind}, ${mistake}`);
  }
});

test('without a base there is no link, and broken traces wake nobody', () => {
  const alerts = alertsIn(renderedBy('One component'));
  for (const { alert, annotations } of alerts) {
    assert.ok(annotations.runbook.startsWith('docs/runbook.md#'), alert);
    assert.equal(annotations.runbook_url, undefined, alert);
  }
  const severities = new Set(alerts.filter(({ group }) => group === 'tracewarden-traces').map(({ labels }) => labels.severity));
  assert.deepEqual([...severities], ['warning']);
});

const SETTINGS = 'Links to the runbook, and the severity';

test('one file gives every alert its link, and the alerts on broken traces their severity', () => {
  const { data } = parse(sectionOf(SETTINGS).match(/^# monitoring\/settings.yaml\n([^]*?)^```$/m)[1]);
  const headings = readFileSync(inRepository('docs/runbook.md'), 'utf8').matchAll(/^## (.+)$/gm);
  const anchors = new Set([...headings].map(([, heading]) => heading.toLowerCase().replaceAll(' ', '-')));
  const before = alertsIn(renderedBy('One component'));
  const after = alertsIn(renderedBy(SETTINGS));
  assert.equal(after.length, before.length);
  for (const [place, { alert, group, labels, annotations }] of after.entries()) {
    const { runbook, ...rest } = before[place].annotations;
    assert.deepEqual(annotations, { ...rest, runbook_url: `${data.runbook}/${runbook}` }, alert);
    assert.ok(anchors.has(new URL(annotations.runbook_url).hash.slice(1)), annotations.runbook_url);
    const severity = group === 'tracewarden-traces' ? data.severity : before[place].labels.severity;
    assert.deepEqual(labels, { ...before[place].labels, severity }, alert);
  }
});

test('each of the two can be left out', () => {
  const without = (line) => alertsIn(renderedBy(SETTINGS, (text) => text.replace(line, '')));
  const [alert] = without('  - ../tracewarden/envoy/monitoring/severity\n');
  assert.deepEqual([alert.labels.severity, alert.annotations.runbook], ['warning', undefined]);
  const [other] = without('  - ../tracewarden/envoy/monitoring/runbook\n');
  assert.deepEqual([other.labels.severity, other.annotations.runbook_url], ['info', undefined]);
});

test('the command for a Prometheus without the operator makes links, too', () => {
  const [command] = sectionOf('Without the operator').match(/^sed .+$/m);
  const printed = execFileSync('sh', ['-c', command], { encoding: 'utf8', cwd: inRepository('.') });
  const alerts = parse(printed).groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert));
  assert.ok(alerts.length > 15, `${alerts.length} alerts`);
  for (const { alert, annotations } of alerts) assert.match(annotations.runbook_url, /^https:.+\/docs\/runbook\.md#/, alert);
});

test('the patch changes the rule that says where the filter should run, and no other', () => {
  const groups = (title) => only('PrometheusRule', renderedBy(title)).spec.groups;
  const [before, after] = [groups('One component'), groups('Where the filter should run')];
  const rule = after[0].rules.find(({ record }) => record === 'tracewarden:expected');
  assert.match(rule.expr, /legacy/);
  before[0].rules.find(({ record }) => record === 'tracewarden:expected').expr = rule.expr;
  assert.deepEqual(after, before);
});

/** The metrics of the reference, each with its labels. */
function metrics() {
  const rows = readFileSync(inRepository('docs/metrics.md'), 'utf8').matchAll(/^\| \[`(\w+)`\]\(\S+\) \| (\w+) \| \S* \| (.*?) \|/gm);
  return new Map([...rows].map(([, name, kind, labels]) => [name, { kind, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label) }]));
}

test("Kiali's charts ask for metrics and labels that there are, in Kiali's own words", () => {
  const known = metrics();
  const [dashboard, ...others] = readYaml('envoy/monitoring/kiali/dashboard.yaml').spec.custom_dashboards;
  assert.equal(others.length, 0);
  const { discoverOn, items, externalLinks, ...names } = dashboard;
  assert.deepEqual(Object.keys(names), ['name', 'title', 'runtime']);
  assert.ok(known.has(discoverOn));
  const kinds = { rate: 'counter', raw: 'gauge', histogram: 'histogram' };
  for (const { chart, ...rest } of items) {
    assert.deepEqual(rest, {});
    const { name, unit, unitScale = 1, spans, dataType, metrics: asked, groupLabels = [], aggregations = [], ...unknown } = chart;
    assert.deepEqual(unknown, {}, name);
    assert.ok(unit && unitScale > 0 && spans >= 1 && spans <= 12, name);
    for (const { metricName, displayName } of asked) {
      assert.ok(displayName, name);
      assert.equal(known.get(metricName)?.kind, kinds[dataType], `${name}: ${metricName}`);
      for (const label of [...groupLabels, ...aggregations.map(({ label }) => label)]) {
        assert.ok(known.get(metricName).labels.includes(label), `${name}: ${metricName} has no label ${label}`);
      }
    }
  }
  const { title, templating } = JSON.parse(DASHBOARD);
  const variables = new Set(templating.list.map((variable) => `var-${variable.name}`));
  assert.deepEqual(externalLinks.map(({ type, name }) => [type, name]), [['grafana', title]]);
  for (const variable of Object.values(externalLinks[0].variables)) assert.ok(variables.has(variable), variable);
});

test('with the component for Kiali, a workload has the series that Kiali asks for', async () => {
  const [endpoint] = only('PodMonitor', renderedBy('Kiali')).spec.podMetricsEndpoints;
  const page = 'tracewarden_requests_total{context="lost"} 1\ntracewarden_build_info{version="0_1_0"} 1\n';
  await served({ '/stats/prometheus': page }, (address) => {
    const pod = {
      __meta_kubernetes_namespace: 'shop',
      __meta_kubernetes_pod_name: 'cart-0',
      __meta_kubernetes_pod_label_app: 'cart',
      __meta_kubernetes_pod_container_port_name: 'http-envoy-prom',
    };
    const versioned = { ...pod, __meta_kubernetes_pod_label_version: 'v1', __meta_kubernetes_pod_name: 'cart-1' };
    const job = {
      job_name: 'tracewarden',
      scrape_interval: '1s',
      metrics_path: endpoint.path,
      // The address is the test's, not that of an agent.
      relabel_configs: endpoint.relabelings.filter(({ targetLabel }) => targetLabel !== '__address__').map(inPrometheus),
      metric_relabel_configs: endpoint.metricRelabelings.map(inPrometheus),
      static_configs: [{ targets: [address], labels: pod }, { targets: [address], labels: versioned }],
    };
    return prometheus([job], (get) =>
      eventually('the labels', async () => {
        const { result } = await get(`query?query=${encodeURIComponent('{app="cart", namespace="shop", __name__=~"tracewarden_.+"}')}`);
        const found = result.map(({ metric: { __name__, version, pod_version } }) => [__name__, version, pod_version]);
        assert.deepEqual(found.sort(), [
          ['tracewarden_build_info', '0.1.0', undefined],
          ['tracewarden_requests_total', undefined, undefined],
          ['tracewarden_requests_total', 'v1', undefined],
        ]);
      }),
    );
  });
});
