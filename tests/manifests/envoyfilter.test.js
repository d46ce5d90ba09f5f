// What an EnvoyFilter puts into a proxy is a structure without a schema in Istio; Envoy itself knows whether it is a filter.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bootstrap, complaint, listener } from './envoy.js';
import { PLUGINS, inRepository } from './support.js';

const FILTERS = PLUGINS.filter(({ filter }) => filter).map(({ filter }) => filter);

/** What Envoy says against the filter, with the module where it is here. */
function complaintAbout(filter, mistake = () => {}, module = inRepository('target/tracewarden.wasm')) {
  const here = structuredClone(filter);
  here.typed_config.config.vm_config.code.local.filename = module;
  mistake(here.typed_config.config, here);
  return complaint(bootstrap([listener('sidecar', 'sidecar', [here])]));
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
