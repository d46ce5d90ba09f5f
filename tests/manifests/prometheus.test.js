// The scrape that docs/istio.md recommends: Prometheus takes it, and names the workload.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { eventually, inScratch, running } from './envoy.js';
import { inPrometheus, prometheus, scraped } from './prometheus.js';
import { meshConfig, sidecar, visit } from './sidecar.js';
import { inRepository, readYaml, served } from './support.js';

const [JOB] = readYaml('envoy/istio/prometheus.yaml').scrape_configs;
const CANONICAL = '__meta_kubernetes_pod_label_service_istio_io_canonical_name';
const APP = '__meta_kubernetes_pod_label_app';

test('it looks at every pod', () => {
  assert.deepEqual(JOB.kubernetes_sd_configs, [{ role: 'pod' }]);
});

test('the Prometheus operator is told the same', () => {
  const { spec } = readYaml('envoy/monitoring/podmonitor.yaml');
  const { path, relabelings, metricRelabelings, ...rest } = spec.podMetricsEndpoints[0];
  assert.deepEqual([spec.podMetricsEndpoints.length, rest], [1, {}]);
  assert.equal(path, JOB.metrics_path);
  assert.deepEqual(relabelings.map(inPrometheus), JOB.relabel_configs);
  assert.deepEqual(metricRelabelings.map(inPrometheus), JOB.metric_relabel_configs);
});

test('promtool accepts the rest, and finds a mistake in it', () => {
  assert.equal(refusal(standingIn([])), '');
  const mistaken = standingIn([]);
  mistaken.scrape_configs[0].relabel_configs[0].regexp = '.*';
  assert.match(refusal(mistaken), /regexp/);
});

test('the agent of a proxy is scraped once, with the names of its namespace and its workload', async () => {
  // What Kubernetes reports of a port, and the name of the workload, or none if it is not scraped.
  const rows = [
    [{ [CANONICAL]: 'cart', [APP]: 'old-cart' }, 'http-envoy-prom', 'cart'],
    [{ [APP]: 'cart' }, 'http-envoy-prom', 'cart'],
    [{}, 'http-envoy-prom', 'cart-0'],
    [{ [CANONICAL]: 'cart' }, 'http', undefined],
  ];
  const address = (row) => (row === 0 ? '[::1]' : `127.0.0.${row}`);
  const targets = rows.map(([labels, port], row) => ({
    targets: [`${address(row)}:15090`],
    labels: {
      __meta_kubernetes_namespace: 'shop',
      __meta_kubernetes_pod_name: 'cart-0',
      __meta_kubernetes_pod_container_port_name: port,
      ...labels,
    },
  }));
  const expected = rows.flatMap(([, , workload], row) =>
    workload ? [{ job: 'tracewarden', instance: `${address(row)}:15020`, namespace: 'shop', workload }] : [],
  );
  await prometheus([standingIn(targets).scrape_configs[0]], async (get) => {
    const found = await eventually('its targets', async () => {
      const { activeTargets } = await get('targets?state=active');
      assert.notEqual(activeTargets.length, 0);
      return activeTargets.map(({ labels }) => labels);
    });
    const byInstance = (one, other) => one.instance.localeCompare(other.instance);
    assert.deepEqual(found.sort(byInstance), expected.sort(byInstance));
  });
});

/** The scrape with static targets instead of Kubernetes' own, which a Prometheus may be built without. */
function standingIn(targets) {
  const { kubernetes_sd_configs: _, ...job } = structuredClone(JOB);
  return { global: { scrape_interval: '1h' }, scrape_configs: [{ ...job, static_configs: targets }] };
}

/** What promtool says against a configuration; nothing if it is valid. */
function refusal(config) {
  return inScratch((path) => {
    writeFileSync(path('prometheus.yaml'), JSON.stringify(config));
    const arguments_ = ['check', 'config', path('prometheus.yaml')];
    const { status, stdout, stderr } = spawnSync(inRepository('.venv/bin/promtool'), arguments_, { encoding: 'utf8' });
    return status === 0 ? '' : stdout + stderr;
  });
}

/** Series that can be compared: in one order, and without the values of what depends on the time. */
function comparable(series) {
  const told = series.map(([{ le, ...metric }, value]) => {
    const labels = Object.entries(metric).sort().map(([label, text]) => `${label}=${text}`);
    return `${labels.join(',')} ${le ?? (/_(sum|seconds|ms)$/.test(metric.__name__) ? '' : value)}`;
  });
  return told.sort();
}

const RULES = JOB.metric_relabel_configs;

test('a proxy that has not read mesh gives the same series, cut at the scrape', async () => {
  await running(sidecar(), (ours) =>
    running(sidecar({ tags: [] }), async (raw) => {
      for (const { ports } of [ours, raw]) await visit(ports);
      const jobs = {
        ours: { address: ours.admin },
        ours_ruled: { address: ours.admin, rules: RULES },
        raw: { address: raw.admin },
        raw_ruled: { address: raw.admin, rules: RULES },
      };
      await scraped(jobs, async (series) => {
        await eventually('equal scrapes', async () => {
          const [due, ...others] = await Promise.all(['ours', 'ours_ruled', 'raw_ruled'].map((job) => series(job)));
          assert.ok(due.length > 100, `${due.length} series`);
          for (const other of others) assert.deepEqual(comparable(other), comparable(due));
        });
        await eventually('what there is to cut', async () => {
          const uncut = await series('raw', ',__name__=~".+___tracewarden_.+"');
          assert.ok(uncut.length > 50, `${uncut.length} series`);
        });
      });
    }),
  );
});

/** Values of the labels that have no closed set of them. */
const OPEN = {
  listener: ['checkout_inbound', 'in__0'],
  upstream_cluster: ['own', 'outbound_80_cart'],
  virtual_host: ['shop', 'other'],
  version: ['0.1.0'],
  revision: ['65a8853', '65a8853-dirty', 'unknown'],
};

/** Each metric of docs/metrics.md: its kind, and its labels in the order of the stat's name with all of their values. */
function metrics() {
  const document = readFileSync(inRepository('docs/metrics.md'), 'utf8');
  const names = (cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  return [...document.matchAll(/^\| \[`(\w+)`\]\(.*?\) \| (\w+) \| \w* \| (.*?) \|/gm)].map(([, name, kind, cell]) => {
    const values = Object.fromEntries(names(cell).map((label) => [label, [...(OPEN[label] ?? [])]]));
    const [, section] = document.split(`\n### ${name}\n`);
    for (const [, labels, value] of section.split('\n### ')[0].matchAll(/^\| (`.+?`) \| `(.+?)` \|/gm)) {
      for (const label of names(labels)) values[label].push(value);
    }
    return { name, kind, values };
  });
}

/** A series for each value of each label. */
function everySeries() {
  return metrics().flatMap(({ name, kind, values }) => {
    const first = Object.fromEntries(Object.entries(values).map(([label, [value]]) => [label, value]));
    const each = Object.entries(values).flatMap(([label, all]) =>
      all.map((value) => {
        const labels = { ...first, [label]: value };
        // `metrics.by` names one of the two.
        delete labels[label === 'virtual_host' ? 'upstream_cluster' : 'virtual_host'];
        return labels;
      }),
    );
    const ends = kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return (each.length > 0 ? each : [{}]).flatMap((labels) => ends.map((end) => ({ name: `${name}${end}`, labels })));
  });
}

test('every label of every metric is cut out of the name, whatever its value', async () => {
  const series = everySeries();
  const labels = series.flatMap(({ labels }) => Object.keys(labels));
  assert.deepEqual([...new Set(labels)].sort(), [...meshConfig.defaultConfig.extraStatTags].sort());
  const raw = ({ name, labels }) =>
    Object.entries(labels).map((pair) => `${pair.join('___').replace(/\W/g, '_')}___`).join('') + name;
  const cut = ({ name, labels }) =>
    `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(',')}}`;
  const page = (write) => [...new Set(series.map(write))].map((line) => `${line} 1\n`).join('');
  const pages = { '/raw': page(raw), '/cut': page(cut) };
  await served(pages, (address) => {
    const jobs = { raw: { address, path: '/raw', rules: RULES }, cut: { address, path: '/cut' } };
    return scraped(jobs, (seen) =>
      eventually('equal scrapes', async () => {
        const [due, found] = await Promise.all([seen('cut'), seen('raw')]);
        assert.equal(due.length, new Set(series.map(cut)).size);
        assert.deepEqual(comparable(found), comparable(due));
      }),
    );
  });
});

test('what the application and Istio count is left to others', async () => {
  const lines = ['istio_requests_total{reporter="source"}', 'go_threads', 'istio_agent_go_threads', 'a___b___c_total'];
  const kept = ['istio_agent_wasm_remote_fetch_count{result="success"}', 'tracewarden_bypassed_total'];
  const page = [...lines, ...kept].map((line) => `${line} 1\n`).join('');
  await served({ '/': page }, (address) =>
    scraped({ agent: { address, path: '/', rules: RULES } }, (seen) =>
      eventually('a scrape', async () => {
        const names = (await seen('agent')).map(([metric]) => metric.__name__);
        assert.deepEqual(names.sort(), kept.map((line) => line.split('{')[0]));
      }),
    ),
  );
});

test('nothing is left out that a rule reads', () => {
  const rules = ['expected', 'rules'].map((name) => readYaml(`envoy/prometheus/tracewarden.${name}.yaml`));
  const expressions = rules.flatMap(({ groups }) => groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)));
  const read = new Set(expressions.flatMap((expr) => expr.match(/(?<![\w:])(envoy|istio|tracewarden)_\w+(?![\w=!])/g) ?? []));
  // It has many labels, and whoever scrapes Istio has it already.
  read.delete('istio_requests_total');
  const kept = new RegExp(`^(?:${RULES.at(-1).regex})$`);
  assert.ok(read.size > 15, `${read.size} metrics`);
  for (const name of read) assert.match(name, kept);
});
