// What the alerts TracewardenRejected, TracewardenNotPulled and TracewardenCountsTwice read, from the real Envoy.

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { bootstrap, eventually, inScratch, listener, pluginFilter, running } from './envoy.js';
import { scraped } from './prometheus.js';
import { meshConfig, statsConfig } from './sidecar.js';
import { readYaml } from './support.js';

const RULES = readYaml('envoy/istio/prometheus.yaml').scrape_configs[0].metric_relabel_configs;
const { extraStatTags } = meshConfig.defaultConfig;
/** The name that istiod gives to a plugin. */
const NAME = 'extensions.istio.io/trafficextension/shop.tracewarden-inbound';
const EXTENSION = 'trafficextension_shop_tracewarden_inbound';
const API = 'type.googleapis.com/envoy.extensions.filters.http';

const plugin = (config) => pluginFilter({ config, environment: {}, failure: 'FAIL_OPEN' }).typed_config;
const GOOD = plugin({ direction: 'inbound' });
const BAD = plugin({ dirction: 'inbound' });
/** What Istio's agent puts in the place of a module that it could not get. */
const ALLOW = { '@type': `${API}.rbac.v3.RBAC`, rules_stat_prefix: 'wasm-default-allow' };

/** A sidecar that is given its plugin as istiod does it; `put` gives it the next. */
function discovering(first, use) {
  return inScratch((path) => {
    let version = 0;
    const put = (filter) => {
      const resource = { '@type': 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig', name: NAME, typed_config: filter };
      version += 1;
      writeFileSync(path('next'), JSON.stringify({ version_info: `${version}`, resources: [resource] }));
      renameSync(path('next'), path('plugin.json'));
    };
    put(first);
    const source = { path: path('plugin.json'), watched_directory: { path: path('.') } };
    const discovery = {
      name: NAME,
      config_discovery: {
        config_source: { path_config_source: source, initial_fetch_timeout: '0s', resource_api_version: 'V3' },
        type_urls: ['wasm.v3.Wasm', 'rbac.v3.RBAC'].map((type) => `${API}.${type}`),
      },
    };
    const rest = { node: { id: 'sidecar', cluster: 'shop' }, stats_config: statsConfig(extraStatTags) };
    const configuration = bootstrap([listener('inbound', 'inbound_0.0.0.0_8080;', [discovery])], rest);
    return running(configuration, ({ admin, ports }) => use({ put, admin, port: ports.inbound }));
  });
}

/** What the alerts read of one Envoy, and what it answers. */
async function state(series, port) {
  const { status } = await fetch(`http://127.0.0.1:${port}/`);
  const all = await series('sidecar');
  const of = (name) => all.find(([metric]) => metric.__name__ === name && (metric.extension ?? EXTENSION) === EXTENSION)?.[1];
  const discovered = (name) => Number(of(`envoy_extension_config_discovery_update_${name}`));
  return {
    status,
    accepted: discovered('success'),
    rejected: discovered('rejected'),
    ever: discovered('time') > 0,
    runs: of('tracewarden_build_info') === '1',
  };
}

for (const [what, first, then] of [
  [
    'an Envoy that never had a plugin answers 500, and one that has it goes on with it',
    [BAD, { status: 500, accepted: 0, rejected: 1, ever: false, runs: false }],
    [
      [GOOD, { status: 200, accepted: 1, rejected: 1, ever: true, runs: true }],
      [BAD, { status: 200, accepted: 1, rejected: 2, ever: true, runs: true }],
    ],
  ],
  [
    'the series of the module are gone when the agent could not get it, and are back with it',
    [GOOD, { status: 200, accepted: 1, rejected: 0, ever: true, runs: true }],
    [
      [ALLOW, { status: 200, accepted: 2, rejected: 0, ever: true, runs: false }],
      [plugin({ direction: 'inbound', mode: 'observe' }), { status: 200, accepted: 3, rejected: 0, ever: true, runs: true }],
    ],
  ],
]) {
  test(what, () =>
    discovering(first[0], ({ put, admin, port }) =>
      scraped({ sidecar: { address: admin, rules: RULES } }, async (series) => {
        const sees = (expected) => eventually(JSON.stringify(expected), async () => assert.deepEqual(await state(series, port), expected));
        await sees(first[1]);
        for (const [filter, expected] of then) {
          put(filter);
          await sees(expected);
        }
      }),
    ),
  );
}

test('two plugins count each request twice, and Envoy once', async () => {
  const filter = pluginFilter({ config: { direction: 'inbound' }, environment: {}, failure: 'FAIL_OPEN' });
  const twice = listener('inbound', 'inbound_0.0.0.0_8080;', [filter, { ...filter, name: 'again' }]);
  await running(bootstrap([twice], { stats_config: statsConfig(extraStatTags) }), async ({ admin, ports }) => {
    for (let request = 0; request < 5; request++) await fetch(`http://127.0.0.1:${ports.inbound}/`);
    const stats = await (await fetch(`http://${admin}/stats/prometheus?usedonly`)).text();
    const sum = (name) => [...stats.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce((all, [, count]) => all + Number(count), 0);
    assert.deepEqual([sum('envoy_http_downstream_rq_total'), sum('tracewarden_requests_total')], [5, 10]);
  });
});
