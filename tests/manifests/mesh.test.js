// The configuration that Istio's proxies read at their start, tried in the real Envoy: stats have labels, the log has ids.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { parse } from 'yaml';

import { bootstrap, eventually, listener, pluginFilter, running } from './envoy.js';
import { TIMED, TRACEPARENT, TRACE_ID, meshConfig, sidecar, visit } from './sidecar.js';
import { DOCUMENTS, PLUGINS, inRepository, readYaml, render, tool } from './support.js';

const { extraStatTags } = meshConfig.defaultConfig;
const LABELS = readYaml('envoy/envoy.yaml').stats_config.stats_tags.map((tag) => tag.tag_name);
/**
 * The labels of what goes wrong in the host, which nothing does here, of the hop audit, which no plugin of Istio makes, and of
 * `metrics.by`, which is for edges.
 */
const UNSEEN = ['call', 'change', 'upstream_cluster', 'virtual_host'];

/** The access log that Istio makes of an extension provider, with the filter that a Telemetry asks for. */
function accessLog(provider = 'tracewarden-json', expression) {
  const { envoyFileAccessLog } = meshConfig.extensionProviders.find(({ name }) => name === provider);
  const filter = {
    extension_filter: {
      name: 'envoy.access_loggers.extension_filters.cel',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter',
        expression,
      },
    },
  };
  return [
    {
      name: 'envoy.access_loggers.file',
      ...(expression && { filter }),
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path: envoyFileAccessLog.path,
        log_format: { json_format: envoyFileAccessLog.logFormat.labels },
      },
    },
  ];
}

test('the labels are those that the stats have', () => {
  assert.notEqual(LABELS.length, 0);
  assert.deepEqual([...extraStatTags].sort(), [...LABELS].sort());
});

test('a pod has the same settings as the mesh', () => {
  for (const { kind, spec } of render(inRepository('tests/manifests/workloads'))) {
    const { annotations, labels } = spec.template.metadata;
    assert.deepEqual(parse(annotations['proxy.istio.io/config']), meshConfig.defaultConfig, kind);
    assert.equal(labels.app, 'cart', `${kind} keeps its labels`);
  }
});

test('a pod has the file that the EnvoyFilter loads, and is selected by it', () => {
  const { spec: filter } = DOCUMENTS.find(({ document }) => document.kind === 'EnvoyFilter').document;
  const { filename } = filter.configPatches[0].patch.value.typed_config.config.vm_config.code.local;
  for (const { kind, spec } of render(inRepository('tests/manifests/workloads'))) {
    const { annotations, labels } = spec.template.metadata;
    const [volume] = JSON.parse(annotations['sidecar.istio.io/userVolume']);
    const [mount] = JSON.parse(annotations['sidecar.istio.io/userVolumeMount']);
    assert.equal(mount.name, volume.name, kind);
    assert.equal(filename, `${mount.mountPath}/tracewarden.wasm`, kind);
    for (const [name, value] of Object.entries(filter.workloadSelector.labels)) assert.equal(labels[name], value, kind);
  }
});

test('the log that a Telemetry asks for is one that the mesh knows', () => {
  const asked = DOCUMENTS.flatMap(({ document }) => document.spec.accessLogging ?? []).flatMap(({ providers }) => providers);
  assert.notEqual(asked.length, 0);
  const known = meshConfig.extensionProviders.map(({ name }) => name);
  for (const { name } of asked) assert.ok(known.includes(name), name);
});

test("Helm's value is what the document takes from the rendered file", () => {
  const command = `"$KUBECTL" kustomize envoy/istio/mesh | sed -n '/^spec:/,$ s/^  //p'`;
  const values = execFileSync('sh', ['-c', command], {
    cwd: inRepository('.'),
    encoding: 'utf8',
    env: { ...process.env, KUBECTL: tool('KUBECTL') },
  });
  assert.deepEqual(parse(values), { meshConfig });
});

test('in a proxy of Istio the stats have their labels, and the log the ids', async () => {
  await running(sidecar({ accessLog: accessLog() }), async ({ admin, ports, accessLog: written }) => {
    await visit(ports);
    const stats = await (await fetch(`http://${admin}/stats/prometheus`)).text();
    const series = stats.split('\n').filter((line) => line && !line.startsWith('#'));
    const ours = series.filter((line) => line.includes('tracewarden'));
    const labels = new Set(ours.flatMap((line) => [...line.matchAll(/[{,](\w+)="/g)].map(([, label]) => label)));
    assert.deepEqual([...labels, ...UNSEEN].sort(), ['le', ...extraStatTags].sort());
    assert.deepEqual(ours.filter((line) => !line.startsWith('tracewarden_')), [], 'no label is left in a name');

    const requests = series.filter((line) => line.startsWith('envoy_http_downstream_rq_total'));
    assert.deepEqual(requests.sort(), [
      'envoy_http_downstream_rq_total{http_conn_manager_prefix="InboundPassthroughCluster"} 1',
      'envoy_http_downstream_rq_total{http_conn_manager_prefix="inbound_0.0.0.0_8080"} 1',
      `envoy_http_downstream_rq_total{http_conn_manager_prefix="outbound_10.0.0.1_80"} ${3 + TIMED}`,
    ]);
    assert.equal(series.length, ours.length + requests.length, 'no other series is reported');

    const logged = await eventually('a line in the log', () => JSON.parse(written()));
    assert.equal(logged.trace_id, TRACE_ID);
    assert.deepEqual([logged.trace_context, logged.path, logged.status], ['continued', '/cart', 200]);
  });
});

/** What the overlay asks to be logged: by which provider, and by which filter. */
function brokenCalls() {
  const { document } = DOCUMENTS.find(
    ({ case: name, document }) => name === 'sidecar-broken-calls' && document.kind === 'Telemetry',
  );
  const [{ providers, filter }] = document.spec.accessLogging;
  return { provider: providers[0].name, expression: filter.expression };
}

test('the demo mesh, the documents and Istio have one filter of broken calls, and one line for them', () => {
  const { provider, expression } = brokenCalls();
  const [example] = readFileSync(inRepository('docs/logs.md'), 'utf8').match(/(?<=```yaml\n)filter:\n[^]*?(?=```)/);
  const loggers = readYaml('envoy/envoy.yaml').static_resources.listeners.flatMap(({ filter_chains: [{ filters }] }) =>
    (filters[0].typed_config.access_log ?? []).filter((logger) => logger.filter),
  );
  assert.notEqual(loggers.length, 0);
  const expressions = [parse(example), ...loggers].map((logger) => logger.filter.extension_filter.typed_config.expression);
  assert.deepEqual(new Set(expressions), new Set([expression]));
  const [{ typed_config: line }] = accessLog(provider);
  for (const logger of loggers) assert.deepEqual(logger.typed_config.log_format, line.log_format);
});

test('the log of broken calls has those, and no others', async () => {
  const [inbound, outbound] = ['inbound', 'outbound'].map((side) =>
    PLUGINS.find((plugin) => plugin.case === 'sidecar-broken-calls' && plugin.listener === side),
  );
  const { provider, expression } = brokenCalls();
  const log = accessLog(provider, expression);
  const listeners = [
    listener('inbound', 'inbound_0.0.0.0_8080;', [pluginFilter(inbound)], log),
    listener('outbound', 'outbound_10.0.0.1_80;', [pluginFilter(outbound)], log),
  ];
  await running(bootstrap(listeners, {}), async ({ ports, accessLog: written }) => {
    const ask = async (port, path, headers) => {
      assert.equal((await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status, 200);
    };
    await ask(ports.inbound, '/continued', { traceparent: TRACEPARENT });
    await ask(ports.inbound, '/lost', {});
    await ask(ports.inbound, '/corrupt', { traceparent: TRACEPARENT.toUpperCase() });
    await ask(ports.outbound, '/unlinked', { traceparent: TRACEPARENT.replace('0af7', 'ffff') });
    await ask(ports.outbound, '/known', { traceparent: TRACEPARENT });
    const lines = () => written().trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
    await eventually('three lines', () => assert.ok(lines().length >= 3));
    const told = lines().map(({ trace_context, path, method, address, route, authority }) =>
      [trace_context, path, method, address, route, typeof authority]);
    const due = ['lost', 'corrupt', 'unlinked'].map((verdict) => [verdict, `/${verdict}`, 'GET', '127.0.0.1', 'default', 'string']);
    assert.deepEqual(told.sort(), due.sort());
  });
});
