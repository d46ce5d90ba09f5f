// A sidecar as Istio configures it, in the real Envoy: its stats, its listeners, and requests through all of them.

import assert from 'node:assert/strict';

import { bootstrap, listener, pluginFilter } from './envoy.js';
import { DOCUMENTS, PLUGINS } from './support.js';

export const { meshConfig } = DOCUMENTS.find(({ document }) => document.kind === 'IstioOperator').document.spec;
const { extraStatTags, proxyStatsMatcher } = meshConfig.defaultConfig;

/** Of so many passes one is timed. */
export const TIMED = 63;
export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
export const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;
/** Every feature that has metrics of its own. */
const EVERYTHING = {
  correlation: {},
  propagation: { extract: ['tracecontext', 'b3'] },
  export: { otlp: { cluster: 'none' } },
  metrics: { listener: 'outbound' },
};

/**
 * `stats_config` as Istio's template of the bootstrap makes it (tools/packaging/common/envoy_bootstrap.json of 1.23 and
 * later), with those tags of its own that could get in the way, and with our inclusions only.
 */
function statsConfig(tags) {
  const { inclusionPrefixes = [], inclusionRegexps = [] } = proxyStatsMatcher;
  const manager = String.raw`^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)`;
  return {
    use_all_default_tags: false,
    stats_tags: [
      { tag_name: 'http_conn_manager_prefix', regex: manager },
      ...tags.map((tag) => ({ tag_name: tag, regex: String.raw`(${tag}=\.=(.*?);\.;)` })),
      { tag_name: 'component', regex: String.raw`(component\.(.+?)\.)` },
      { tag_name: 'tag', regex: String.raw`(tag\.(.+?);\.)` },
    ],
    stats_matcher: {
      inclusion_list: {
        patterns: [
          ...inclusionPrefixes.map((prefix) => ({ prefix })),
          ...inclusionRegexps.map((regex) => ({ safe_regex: { regex } })),
        ],
      },
    },
  };
}

/** A sidecar whose listeners have the names in the stats that Istio gives them, and make labels of these `tags`. */
export function sidecar({ tags = extraStatTags, accessLog = [] } = {}) {
  const [inbound] = PLUGINS.filter((plugin) => plugin.case === 'sidecar-logs');
  const everything = pluginFilter({ config: EVERYTHING, environment: {}, failure: 'FAIL_OPEN' });
  const listeners = [
    listener('inbound', 'inbound_0.0.0.0_8080;', [pluginFilter(inbound)], accessLog),
    listener('outbound', 'outbound_10.0.0.1_80;', [everything]),
    listener('passthrough', 'InboundPassthroughCluster;', []),
    listener('metrics', 'stats', []),
  ];
  return bootstrap(listeners, { stats_config: statsConfig(tags) });
}

/** Requests through every listener: contexts that are whole, broken and in two formats, and enough of them that one is timed. */
export async function visit(ports) {
  const ask = async (port, headers) => {
    assert.equal((await fetch(`http://127.0.0.1:${port}/cart?a=1`, { headers })).status, 200);
  };
  for (const port of Object.values(ports)) await ask(port, { traceparent: TRACEPARENT });
  await ask(ports.outbound, { traceparent: TRACEPARENT.toUpperCase() });
  await ask(ports.outbound, { traceparent: TRACEPARENT, b3: '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1' });
  for (let request = 0; request < TIMED; request++) await ask(ports.outbound, { traceparent: TRACEPARENT });
}
