// What an EnvoyFilter puts into a proxy is a structure without a schema in Istio; Envoy itself knows whether it is a filter.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bootstrap, complaint, listener, running } from './envoy.js';
import { PLUGINS, inRepository } from './support.js';

const PATCHES = PLUGINS.filter(({ filter }) => filter);
const FILTERS = PATCHES.map(({ filter }) => filter);

/** The filter, with the module where it is here. */
function here(filter, module = inRepository('target/tracewarden.wasm')) {
  const copy = structuredClone(filter);
  copy.typed_config.config.vm_config.code.local.filename = module;
  return copy;
}

/** What Envoy says against the filter. */
function complaintAbout(filter, mistake = () => {}, module) {
  const mistaken = here(filter, module);
  mistake(mistaken.typed_config.config, mistaken);
  return complaint(bootstrap([listener('sidecar', 'sidecar', [mistaken])]));
}

test('Envoy accepts the filter of every patch', () => {
  assert.equal(FILTERS.length, 2);
  for (const filter of FILTERS) assert.equal(complaintAbout(filter), '');
});

test('Envoy refuses a mistake in it', () => {
  const mistakes = [
    [(config) => (config.failure_polcy = 'FAIL_OPEN'), /failure_polcy/],
    [(config) => (config.failure_policy = 'FAIL_SOFT'), /FAIL_SOFT/],
    [(config) => (config.vm_config.runtime = 'envoy.wasm.runtime.v9'), /Unable to create Wasm plugin/],
    [(_, filter) => (filter.typed_config['@type'] = 'type.googleapis.com/envoy.Wasm'), /envoy.Wasm/],
  ];
  for (const [mistake, said] of mistakes) assert.match(complaintAbout(FILTERS[0], mistake), said);
});

test('a proxy without the file refuses the listener', () => {
  assert.match(complaintAbout(FILTERS[0], undefined, '/etc/tracewarden/tracewarden.wasm'), /tracewarden.wasm/);
});

test('a request through the filter of every patch is counted, and bypasses none', async () => {
  const sides = PATCHES.map(({ listener: side, filter }) => listener(side, side, [here(filter)]));
  await running(bootstrap(sides), async ({ admin, ports }) => {
    for (const port of Object.values(ports)) assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    const stats = await (await fetch(`http://${admin}/stats?filter=tracewarden_(requests|bypassed)_total&usedonly`)).text();
    const counted = (side) =>
      `wasmcustom.direction=.=${side};.;role=.=internal;.;mode=.=enforce;.;context=.=lost;.;tracewarden_requests_total: 1\n`;
    assert.equal(stats, counted('inbound') + counted('outbound'));
  });
});
