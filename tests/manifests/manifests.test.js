// Every manifest, as kustomize renders it: accepted by Istio's schemas and by the filter's own reader, and true to what it
// says.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';

import { inScratch } from './envoy.js';
import { problems } from './schemas.js';
import { CASES, DOCUMENTS, IMAGE, PLUGINS, check, inRepository, moduleOf, render } from './support.js';

/** The documents of a kind; a kind that none is of would make its tests pass. */
function ofKind(kind) {
  const documents = DOCUMENTS.map(({ document }) => document).filter((document) => document.kind === kind);
  assert.notEqual(documents.length, 0);
  return documents;
}

test('the document names every case', () => {
  const told = readFileSync(inRepository('docs/istio.md'), 'utf8');
  for (const name of CASES) {
    const place = name.startsWith('trafficextension/') ? `\`${name}\`` : `\n| \`${name}\` |`;
    assert.ok(told.includes(place), `docs/istio.md says nothing of ${name}`);
  }
});

test('every document is valid, and has no field that is unknown', () => {
  for (const { case: name, document } of DOCUMENTS.filter(({ document }) => document.kind !== 'IstioOperator')) {
    assert.deepEqual(problems(document), [], `${name}: ${document.kind} ${document.metadata.name}`);
  }
});

test('a mistake is found, wherever it is', () => {
  const mistakes = [
    ['WasmPlugin', (spec) => (spec.failStratgy = 'FAIL_OPEN')],
    ['WasmPlugin', (spec) => (spec.phase = 'AUTHENTICATE')],
    ['WasmPlugin', (spec) => (spec.failStrategy = 'FAIL_SOFT')],
    ['WasmPlugin', (spec) => (spec.match = [{ mode: 'SERVER', port: [] }])],
    ['WasmPlugin', (spec) => (spec.match = [{ mode: 'INBOUND' }])],
    ['WasmPlugin', (spec) => (spec.match = [{ ports: [{ number: 80, name: 'http' }] }])],
    ['WasmPlugin', (spec) => (spec.selector = { matchLabels: { app: 'cart' }, labels: {} })],
    ['WasmPlugin', (spec) => (spec.targetRefs = [{ kind: 'Gateway', name: 'waypoint', gruop: 'x' }])],
    ['WasmPlugin', (spec) => (spec.vmConfig.env[0].valeu = 'bypass')],
    ['WasmPlugin', (spec) => (spec.imagePullPolicy = 'Never')],
    ['WasmPlugin', (spec) => (spec.sha256 = 'sha256:0123')],
    ['WasmPlugin', (spec) => delete spec.url],
    ['TrafficExtension', (spec) => (spec.failStrategy = 'FAIL_OPEN')],
    ['TrafficExtension', (spec) => (spec.phase = 'AUTHENTICATE')],
    ['TrafficExtension', (spec) => (spec.wasm.phase = 'AUTHN')],
    ['TrafficExtension', (spec) => (spec.wasm.failStrategy = 'FAIL_SOFT')],
    ['TrafficExtension', (spec) => (spec.wasm.vmConfig.environment = [])],
    ['TrafficExtension', (spec) => (spec.match = [{ modes: 'SERVER' }])],
    ['Telemetry', (spec) => (spec.tracing[0].disableSpanReport = true)],
    ['Telemetry', (spec) => (spec.accessLogging = [{ provider: [] }])],
    ['EnvoyFilter', (spec) => (spec.configPatches[0].patch.operation = 'INSERT')],
    ['EnvoyFilter', (spec) => (spec.configPatches[0].match.contxt = 'GATEWAY')],
    ['EnvoyFilter', (spec) => (spec.workloadSelector.matchLabels = {})],
  ];
  for (const [kind, mistake] of mistakes) {
    const document = structuredClone(ofKind(kind)[0]);
    mistake(document.spec);
    assert.notDeepEqual(problems(document), [], `${kind}, ${mistake}`);
  }
});

test('a mistake outside of the specification is found', () => {
  const [plugin] = ofKind('WasmPlugin');
  const mistakes = [{ sepc: {} }, { metadata: { name: 'x', lables: {} } }, { apiVersion: 'extensions.istio.io/v1' }];
  for (const mistake of mistakes) {
    assert.notDeepEqual(problems({ ...plugin, ...mistake }), [], JSON.stringify(mistake));
  }
});

test('no resource says both a selector and what it targets', () => {
  for (const { case: name, document } of DOCUMENTS) {
    assert.ok(!(document.spec.selector && document.spec.targetRefs), `${name}: ${document.metadata.name}`);
  }
});

test('the filter accepts every configuration, in the environment that the manifest gives it', () => {
  assert.notEqual(PLUGINS.length, 0);
  for (const { title, config, environment } of PLUGINS) {
    assert.deepEqual(check(config, environment), { valid: true, ignored: [] }, title);
  }
});

test('a Pod can be an exception, by every variable that the document names', () => {
  const named = [...sectionOf('Exceptions').matchAll(/^\| `([A-Z_]+)` \| `([\w.]+)` \| (?:`'(.+?)'`|`"?([\w.]+)"?`)/gm)];
  assert.equal(named.length, 6);
  for (const { title, config, environment, ofPod } of PLUGINS) {
    assert.deepEqual(ofPod.toSorted(), named.map(([, variable]) => variable).toSorted(), title);
    assert.equal(config.environment, 'override', title);
    for (const [, variable, , quoted, plain] of named) {
      const own = { ...environment, [variable]: quoted ?? plain };
      assert.deepEqual(check(config, own), { valid: true, ignored: [] }, `${title}, ${variable}`);
      assert.equal(check(config, { ...own, [variable]: '}' }).valid, false, `${title}, ${variable}`);
    }
  }
});

/** The plugins of sidecars which count: `pull` only lets them have the image. */
const COUNTING = PLUGINS.filter(({ listener, config }) => listener && config.enabled !== false);

test('both sides of a sidecar remember the same traces', () => {
  for (const { title, config } of COUNTING) assert.deepEqual(config.correlation, { slots: 16384 }, title);
});

test('a configuration with a mistake is refused, bypass or not', () => {
  const { config, environment } = PLUGINS[0];
  for (const mistake of [{ dirction: 'inbound' }, { direction: 'sideways' }, { sampling: { probability: 2 } }]) {
    assert.equal(check({ ...config, ...mistake }, environment).valid, false, JSON.stringify(mistake));
  }
});

test('every plugin states its direction, and it is that of the listeners that it is put into', () => {
  for (const { title, config, listener, spec } of PLUGINS) {
    assert.ok(['inbound', 'outbound'].includes(config.direction), title);
    if (listener) assert.equal(config.direction, listener, title);
    else assert.ok(spec.selector || spec.targetRefs, `${title}: one for all directions is for a gateway or a waypoint`);
    assert.ok(config.role, title);
  }
});

test('sidecars have a plugin for each side', () => {
  const sides = {};
  for (const { case: name, listener } of COUNTING) (sides[name] ??= []).push(listener);
  assert.ok('sidecar-enforce' in sides);
  for (const [name, found] of Object.entries(sides)) assert.deepEqual(found.sort(), ['inbound', 'outbound'], name);
});

test('what has no span to show starts no trace, but for the edge', () => {
  for (const { title, config } of PLUGINS) {
    const starts = config.export !== undefined || config.role === 'edge';
    assert.equal(config.start, starts ? 'always' : 'never', title);
  }
});

test('a filter that fails, or has a bad configuration, stops no request, but for the strict', () => {
  const strict = PLUGINS.filter((plugin) => plugin.case.endsWith('-strict'));
  assert.equal(strict.length, 4);
  for (const plugin of PLUGINS) {
    const [failure, onBadConfig] = strict.includes(plugin) ? ['FAIL_CLOSE', 'refuse'] : ['FAIL_OPEN', 'bypass'];
    assert.equal(plugin.failure, plugin.filter ? 'FAIL_RELOAD' : failure, plugin.title);
    assert.equal(plugin.environment.TRACEWARDEN_ON_BAD_CONFIG, onBadConfig, plugin.title);
  }
});

test('every plugin comes early, and is not pulled twice', () => {
  for (const { title, spec, wasm } of PLUGINS.filter((plugin) => plugin.spec)) {
    assert.deepEqual([spec.phase, spec.priority], ['AUTHN', 1000], title);
    assert.equal(wasm.imagePullPolicy, 'IfNotPresent', title);
  }
});

test('no plugin is accepted before someone has set its digest', () => {
  const cases = new Set(PLUGINS.filter((plugin) => plugin.spec).map((plugin) => plugin.case));
  for (const name of cases) {
    for (const plugin of render(inRepository(`envoy/istio/${name}`)).filter(moduleOf)) {
      assert.match(problems(plugin).join(), /sha256/, name);
      assert.match(moduleOf(plugin).sha256, /^SET-THIS/, name);
    }
  }
});

test('the policy of admission is in force, and judges both kinds of plugin', () => {
  const [policy, binding] = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'].map((kind) =>
    render(inRepository('envoy/istio/admission')).find((document) => document.kind === kind),
  );
  const [rule] = policy.spec.matchConstraints.resourceRules;
  assert.deepEqual(rule.resources, ['wasmplugins', 'trafficextensions']);
  for (const kind of ['WasmPlugin', 'TrafficExtension']) assert.equal(ofKind(kind)[0].apiVersion.split('/')[0], rule.apiGroups[0]);
  assert.deepEqual(binding.spec, { policyName: policy.metadata.name, validationActions: ['Deny'] });
});

test('one file of their own gives users their image in every case', () => {
  for (const name of new Set(PLUGINS.filter((plugin) => plugin.spec).map((plugin) => plugin.case))) {
    const modules = ownImage(name).map(moduleOf).filter(Boolean);
    assert.notEqual(modules.length, 0, name);
    for (const { url, sha256 } of modules) assert.deepEqual({ url, sha256 }, IMAGE, name);
  }
});

/** A case with the files that the document shows under "Your own image", in a directory that has this repository. */
function ownImage(name) {
  return inScratch((path) => {
    for (const [, file, text] of sectionOf('Your own image').matchAll(/^```yaml\n# (\S+)\n([^]*?)^```$/gm)) {
      mkdirSync(dirname(path(file)), { recursive: true });
      const own = text.replace(/url: .*/, `url: ${IMAGE.url}`).replace(/sha256: .*/, `sha256: ${IMAGE.sha256}`);
      writeFileSync(path(file), own.replace('envoy/istio/sidecar-observe', `envoy/istio/${name}`));
    }
    cpSync(inRepository('envoy/istio'), path('tracewarden/envoy/istio'), { recursive: true });
    return render(path('shop'));
  });
}

function sectionOf(title) {
  const [, section] = readFileSync(inRepository('docs/istio.md'), 'utf8').split(`\n## ${title}\n`);
  return section.split('\n## ')[0];
}

test('each role does what it is for', () => {
  const of = (name) => PLUGINS.filter((plugin) => plugin.case === name).map(({ config }) => config);
  for (const { mode } of of('sidecar-observe')) assert.equal(mode, 'observe');
  for (const { mode } of of('sidecar-enforce')) assert.equal(mode, undefined);
  for (const config of of('sidecar-logs')) assert.equal(config.access_log.filter_state, true);
  for (const name of ['ingress', 'ingress-strict', 'ingress-spans', 'egress', 'egress-strict']) {
    for (const { response } of of(name)) assert.deepEqual(response, { inject: [] }, name);
  }
  const [ingress] = of('ingress');
  assert.deepEqual([ingress.role, ingress.trust.default], ['edge', 'untrusted']);
  assert.ok(ingress.sampling.probability > 0 && ingress.sampling.probability <= 1);
  const [egress] = of('egress');
  assert.deepEqual([egress.direction, egress.egress], ['outbound', [{ match: { host: '*' }, strip: 'all' }]]);
  const [waypoint] = of('waypoint');
  assert.deepEqual([waypoint.role, waypoint.direction], ['internal', 'inbound']);
});

test('a TrafficExtension says what the WasmPlugin says', () => {
  const wasmPlugins = PLUGINS.filter(({ wasm, spec }) => wasm && wasm === spec);
  const trafficExtensions = PLUGINS.filter(({ wasm, spec }) => wasm && wasm !== spec);
  assert.notEqual(trafficExtensions.length, 0);
  for (const { title, case: name, spec: { wasm, ...spec }, config } of trafficExtensions) {
    const same = wasmPlugins.find(
      (plugin) => plugin.case === name.replace('trafficextension/', '') && plugin.config.direction === config.direction,
    );
    assert.deepEqual({ ...spec, ...wasm }, same.spec, title);
  }
});
