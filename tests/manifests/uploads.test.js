// What is no loss: SDKs and scrapers, with the exporters that they have by default, through the settings of sidecar-observe.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { test } from 'node:test';

import { bootstrap, eventually, inScratch, listener, pluginFilter, running } from './envoy.js';
import { PLUGINS, inRepository, tool } from './support.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const PATIENCE_MS = 60_000;
const EVERY_SIGNAL = { OTEL_TRACES_EXPORTER: 'otlp', OTEL_METRICS_EXPORTER: 'otlp', OTEL_LOGS_EXPORTER: 'otlp' };
const SPANS_ALONE = { OTEL_TRACES_EXPORTER: 'zipkin', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' };

const node = (environment) => (endpoint) => [process.execPath, [inRepository('tests/manifests/sdk/node.js')], environment(endpoint)];
const python = (how) => (endpoint) => [tool('INTEROP_PYTHON'), ['-B', inRepository('tests/manifests/sdk/python.py'), how, endpoint], {}];
const rust = (how) => (endpoint) => [tool('EXPORTERS'), [how, endpoint], {}];

const java = (how) => (endpoint) => [
  'java',
  ['-cp', `${tool('JAVA_EXPORTERS')}/*`, inRepository('tests/manifests/sdk/java/Exporters.java')],
  { OTEL_EXPORTER_OTLP_PROTOCOL: how, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
];

/** Each application, and how many uploads it makes at least. */
const APPLICATIONS = [
  ['Node.js, OTLP over HTTP', 3, node((endpoint) => ({ ...EVERY_SIGNAL, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }))],
  ['Node.js, OTLP in JSON', 3, node((endpoint) => ({ ...EVERY_SIGNAL, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }))],
  ['Node.js, OTLP over gRPC', 3, node((endpoint) => ({ ...EVERY_SIGNAL, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }))],
  ['Node.js, Zipkin', 1, node((endpoint) => ({ ...SPANS_ALONE, OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${endpoint}/api/v2/spans` }))],
  ['Python, OTLP over HTTP', 3, python('otlp')],
  ['Python, OTLP over gRPC', 3, python('grpc')],
  ['Python, Zipkin', 1, python('zipkin')],
  ["Python, Datadog's tracer", 2, python('datadog')],
  ['Rust, OTLP over HTTP', 3, rust('http')],
  ['Rust, OTLP over gRPC', 3, rust('grpc')],
  // `make test-sdks` builds these, because not every machine has Go and Java.
  ...(process.env.GO_EXPORTERS
    ? ['http', 'grpc'].map((how) => [`Go, OTLP over ${how}`, 3, (endpoint) => [tool('GO_EXPORTERS'), [how, endpoint], {}]])
    : []),
  ...(process.env.JAVA_EXPORTERS
    ? ['http/protobuf', 'grpc'].map((how) => [`Java, OTLP over ${how}`, 3, java(how)])
    : []),
];

const side = (wanted) => PLUGINS.find((plugin) => plugin.case === 'sidecar-observe' && plugin.listener === wanted);

/** The outbound side of the overlay. gRPC goes to the stub, because a direct response has no status of gRPC's. */
function outbound(grpcPort) {
  const one = listener('outbound', 'outbound', [pluginFilter(side('outbound'))]);
  const { virtual_hosts: hosts } = one.filter_chains[0].filters[0].typed_config.route_config;
  hosts[0].routes.unshift({ match: { prefix: '/', grpc: {} }, route: { cluster: 'grpc' } });
  const address = { socket_address: { address: '127.0.0.1', port_value: grpcPort } };
  const cluster = {
    name: 'grpc',
    load_assignment: { cluster_name: 'grpc', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const configuration = bootstrap([one]);
  configuration.static_resources.clusters = [cluster];
  return configuration;
}

/** A server of gRPC that says yes to everything; what it takes is an empty message. */
async function grpcServer(use) {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.resume().on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
    stream.on('error', () => {});
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(server.address().port);
  } finally {
    server.close();
  }
}

/** Runs an application to its end. */
async function run([command, parameters, environment]) {
  const child = spawn(command, parameters, { env: { ...process.env, ...environment }, stdio: ['ignore', 'inherit', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const code = await new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  clearTimeout(timer);
  assert.equal(code, 0, `${command} ${parameters.join(' ')}`);
}

/** The requests by their verdicts. */
async function verdicts(admin) {
  const { stats } = await (await fetch(`http://${admin}/stats?format=json&filter=tracewarden_requests_total`)).json();
  const counted = {};
  for (const { name, value } of stats) {
    const [, context] = name.match(/context=\.=(\w+);/);
    if (value > 0) counted[context] = (counted[context] ?? 0) + value;
  }
  return counted;
}

for (const [name, least, application] of APPLICATIONS) {
  test(`no upload is a loss: ${name}`, async () => {
    await grpcServer((grpcPort) =>
      running(outbound(grpcPort), async ({ admin, ports }) => {
        const endpoint = `http://127.0.0.1:${ports.outbound}`;
        await run(application(endpoint));
        const { excluded = 0, ...others } = await verdicts(admin);
        assert.deepEqual(others, {}, 'nothing else is counted');
        assert.ok(excluded >= least, `${excluded} uploads`);
        await fetch(`${endpoint}/cart`);
        await fetch(`${endpoint}/cart`, { headers: { traceparent: TRACEPARENT } });
        const { lost, unlinked } = await verdicts(admin);
        assert.deepEqual({ lost, unlinked }, { lost: 1, unlinked: 1 }, 'what the test loses, and starts, on purpose');
      }),
    );
  });
}

test('no scrape is a loss: Prometheus', async () => {
  const prometheus = inRepository('.venv/bin/prometheus');
  assert.ok(existsSync(prometheus), 'make manifests provides it');
  const configuration = bootstrap([listener('inbound', 'inbound', [pluginFilter(side('inbound'))])]);
  await running(configuration, ({ admin, ports }) =>
    inScratch(async (path) => {
      const targets = [`127.0.0.1:${ports.inbound}`];
      const config = { scrape_configs: [{ job_name: 'cart', scrape_interval: '1s', static_configs: [{ targets }] }] };
      writeFileSync(path('prometheus.yaml'), JSON.stringify(config));
      const options = [`--config.file=${path('prometheus.yaml')}`, `--storage.tsdb.path=${path('data')}`];
      const child = spawn(prometheus, [...options, '--web.listen-address=127.0.0.1:0', '--log.level=error'], { stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      try {
        const counted = await eventually('two scrapes', async () => {
          const counted = await verdicts(admin);
          assert.ok(counted.excluded >= 2);
          return counted;
        });
        assert.deepEqual(Object.keys(counted), ['excluded']);
      } finally {
        child.kill();
        await ended;
      }
    }),
  );
});
