// Why telemetry/ and egress/ take Envoy's tracer away: it has the last word on `traceparent`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { bootstrap, listener, pluginFilter, running } from './envoy.js';
import { PLUGINS } from './support.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OPENTELEMETRY = {
  provider: {
    name: 'envoy.tracers.opentelemetry',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
      service_name: 'gateway',
      grpc_service: { envoy_grpc: { cluster_name: 'upstream' } },
    },
  },
};

test('what the egress gateway strips leaves with a tracer, and does not without one', async () => {
  const [egress] = PLUGINS.filter((plugin) => plugin.case === 'egress');
  const received = [];
  const upstream = createServer(({ headers }, response) => {
    received.push(headers);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const gateway = bootstrap([forwarding('traced', egress, OPENTELEMETRY), forwarding('untraced', egress, undefined)]);
  gateway.static_resources.clusters = [cluster('upstream', upstream.address().port)];
  try {
    await running(gateway, async ({ ports }) => {
      const headers = { traceparent: TRACEPARENT, tracestate: 'a=1', baggage: 'user=1' };
      for (const name of ['traced', 'untraced']) await fetch(`http://127.0.0.1:${ports[name]}/`, { headers });
    });
  } finally {
    upstream.close();
    upstream.closeAllConnections();
  }
  const [traced, untraced] = received.filter((headers) => headers.host.startsWith('127.0.0.1'));
  assert.match(traced.traceparent, /^00-/);
  for (const header of ['traceparent', 'tracestate', 'baggage']) assert.equal(untraced[header], undefined, header);
});

function forwarding(name, plugin, tracing) {
  const made = listener(name, name, [pluginFilter(plugin)]);
  const manager = made.filter_chains[0].filters[0].typed_config;
  manager.route_config.virtual_hosts[0].routes = [{ match: { prefix: '/' }, route: { cluster: 'upstream' } }];
  if (tracing) manager.tracing = tracing;
  return made;
}

function cluster(name, port) {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return { name, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] } };
}
