// The Helm chart: it renders the cases that kustomize renders, with the values of a user, and refuses what is wrong.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseAllDocuments } from 'yaml';

import { inScratch } from './envoy.js';
import { problems } from './schemas.js';
import { IMAGE, check, inRepository, moduleOf, readYaml, renderCase, tool } from './support.js';

const CHART = inRepository('envoy/istio/chart');
const CASES = readdirSync(inRepository('envoy/istio/trafficextension')).sort();
const SET = { image: IMAGE.url, digest: IMAGE.sha256 };

function helm(...words) {
  return spawnSync(tool('HELM'), words, { encoding: 'utf8' });
}

/** What `helm template` answers for a chart with values. */
function template(values, chart = CHART) {
  return inScratch((path) => {
    writeFileSync(path('values.yaml'), JSON.stringify(values));
    return helm('template', 'release', chart, '--values', path('values.yaml'));
  });
}

/** The documents of a case with values, beside the image. */
function rendered(values, chart) {
  const { status, stdout, stderr } = template({ ...SET, ...values }, chart);
  assert.equal(status, 0, stderr);
  return parseAllDocuments(stdout).map((document) => document.toJS());
}

/** The only plugin of a case with values; of a sidecar's two, the inbound one. */
function plugin(values) {
  return rendered(values).find(moduleOf);
}

function files(directory) {
  return readdirSync(directory, { recursive: true }).filter((name) => statSync(join(directory, name)).isFile()).sort();
}

test('the chart has what `make reference` writes', () => {
  inScratch((path) => {
    execFileSync(process.env.PYTHON || 'python3', [inRepository('make/chart.py'), tool('KUBECTL'), path('.')]);
    const written = files(path('.'));
    assert.deepEqual(files(`${CHART}/files`).map((file) => `files/${file}`), written.filter((file) => file.startsWith('files/')));
    for (const file of written) {
      const told = `envoy/istio/chart/${file} is stale: make reference writes it`;
      assert.equal(readFileSync(`${CHART}/${file}`, 'utf8'), readFileSync(path(file), 'utf8'), told);
    }
  });
});

test('helm finds no fault in the chart', () => {
  assert.match(helm('lint', '--strict', CHART).stdout, /1 chart\(s\) linted, 0 chart\(s\) failed/);
});

test('every case of both kinds is what kustomize renders', () => {
  assert.ok(CASES.includes('sidecar-observe'));
  for (const name of CASES) {
    for (const [kind, directory] of [['WasmPlugin', name], ['TrafficExtension', `trafficextension/${name}`]]) {
      const byName = (documents) => documents.toSorted((a, b) => `${a.kind}${a.metadata.name}` < `${b.kind}${b.metadata.name}` ? -1 : 1);
      assert.deepEqual(byName(rendered({ case: name, kind })), byName(renderCase(directory)), `${name}, ${kind}`);
    }
  }
});

test('without other values it observes, and stops no request', () => {
  assert.deepEqual(rendered({}), rendered({ case: 'sidecar-observe', kind: 'WasmPlugin' }));
  assert.equal(plugin({}).spec.pluginConfig.mode, 'observe');
  assert.equal(plugin({}).spec.failStrategy, 'FAIL_OPEN');
});

test('every value is where it belongs, in both kinds', () => {
  const env = (name) => (spec, wasm) => wasm.vmConfig.env.find((one) => one.name === name);
  const config = (field) => (spec, wasm) => wasm.pluginConfig[field];
  const selector = { matchLabels: { app: 'cart' } };
  const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'public' }];
  const rows = [
    [{ imagePullPolicy: 'Always' }, (spec, wasm) => wasm.imagePullPolicy, 'Always'],
    [{ imagePullSecret: 'registry' }, (spec, wasm) => wasm.imagePullSecret, 'registry'],
    [{ failStrategy: 'FAIL_CLOSE' }, (spec, wasm) => wasm.failStrategy, 'FAIL_CLOSE'],
    [{ onBadConfig: 'refuse' }, env('TRACEWARDEN_ON_BAD_CONFIG'), { name: 'TRACEWARDEN_ON_BAD_CONFIG', value: 'refuse' }],
    [{ hostEnvironment: ['SECRET'] }, env('SECRET'), { name: 'SECRET', valueFrom: 'HOST' }],
    [{ selector }, (spec) => spec.selector, selector],
    [{ case: 'ingress', selector }, (spec) => spec.selector, selector],
    [{ case: 'ingress', targetRefs }, (spec) => [spec.targetRefs, spec.selector], [targetRefs, undefined]],
    [{ case: 'waypoint', targetRefs }, (spec) => spec.targetRefs, targetRefs],
    [{ mode: 'enforce' }, config('mode'), 'enforce'],
    [{ role: 'edge' }, config('role'), 'edge'],
    [{ case: 'egress', direction: 'inbound' }, config('direction'), 'inbound'],
    [{ case: 'ingress', sampling: { probability: 0 } }, config('sampling'), { probability: 0 }],
    [{ correlation: { slots: 1000000 } }, config('correlation'), { slots: 1000000 }],
    [{ correlation: null }, config('correlation'), null],
    [{ case: 'sidecar-spans', collector: 'outbound|4318||c' }, config('export'), { otlp: { cluster: 'outbound|4318||c' } }],
    [
      { case: 'ingress', trust: { trusted: [{ cidr: '10.0.0.0/8' }] } },
      config('trust'),
      { default: 'untrusted', untrusted: 'restart', trusted: [{ cidr: '10.0.0.0/8' }] },
    ],
    [{ config: { enabled: false } }, config('enabled'), false],
    [{ mode: 'observe', config: { mode: 'enforce' } }, config('mode'), 'enforce'],
    [{ case: 'egress', config: { egress: [] } }, config('egress'), []],
  ];
  for (const [values, read, expected] of rows) {
    for (const kind of ['WasmPlugin', 'TrafficExtension']) {
      const made = plugin({ kind, ...values });
      assert.deepEqual(read(made.spec, moduleOf(made)), expected, `${kind}, ${JSON.stringify(values)}`);
      assert.deepEqual(problems(made), [], JSON.stringify(values));
      const { valid, ignored } = check(moduleOf(made).pluginConfig, {});
      assert.ok(valid, `${JSON.stringify(values)}: ${JSON.stringify(ignored)}`);
    }
  }
});

test('both plugins of a sidecar, and the Telemetry with them, have the values', () => {
  const selector = { matchLabels: { app: 'cart' } };
  const documents = rendered({ case: 'sidecar-logs', name: 'canary', selector, correlation: { slots: 7 } });
  assert.deepEqual(documents.map(({ spec }) => spec.selector), [selector, selector, selector]);
  assert.deepEqual(documents.map(({ metadata }) => metadata.name).sort(), ['canary', 'canary-inbound', 'canary-outbound']);
  const configurations = documents.map(moduleOf).filter(Boolean).map((module) => module.pluginConfig);
  for (const { correlation, direction } of configurations) assert.deepEqual(correlation, { slots: 7 }, direction);
});

test('wrong values are refused, by name', () => {
  const rows = [
    [{ imgae: 'x' }, /additional properties 'imgae' not allowed/],
    [{ image: 'registry.example/tracewarden' }, /'\/image'.*does not match pattern/],
    [{ digest: 'sha256:' + SET.digest }, /'\/digest'.*does not match pattern/],
    [{ digest: SET.digest.slice(1) }, /'\/digest'.*does not match pattern/],
    [{ digest: '' }, /digest: expected the 64 hexadecimal digits .*found nothing.*--set digest/],
    [{ image: '' }, /image: expected where you pushed the image, found nothing.*--set image/],
    [{ imagePullPolicy: 'Never' }, /'\/imagePullPolicy': value must be one of/],
    [{ imagePullSecret: '' }, /'\/imagePullSecret': minLength/],
    [{ kind: 'EnvoyFilter' }, /'\/kind': value must be one of/],
    [{ case: 'mesh' }, /'\/case': value must be one of .*'sidecar-observe'/],
    [{ name: 'Trace' }, /'\/name'.*does not match pattern/],
    [{ selector: { app: 'cart' } }, /'\/selector'.*missing property 'matchLabels'/],
    [{ targetRefs: [{ kind: 'Gateway' }] }, /'\/targetRefs\/0'.*missing property 'name'/],
    [{ failStrategy: 'FAIL_SOFT' }, /'\/failStrategy': value must be one of/],
    [{ onBadConfig: 'ignore' }, /'\/onBadConfig': value must be one of/],
    [{ hostEnvironment: ['A B'] }, /'\/hostEnvironment\/0'.*does not match pattern/],
    [{ collector: '' }, /'\/collector': minLength/],
    [{ mode: 'obsrve' }, /'\/mode': value must be 'observe'/],
    [{ role: 'border' }, /'\/role': value must be 'edge'/],
    [{ direction: 'up' }, /'\/direction': value must be 'inbound'/],
    [{ sampling: { probability: 7 } }, /'\/sampling\/probability': maximum: got 7, want 1/],
    [{ trust: { deflt: 'untrusted' } }, /'\/trust': additional properties 'deflt' not allowed/],
    [{ correlation: { slots: 0 } }, /'\/correlation\/slots': minimum/],
    [{ config: { moed: 'observe' } }, /'\/config': additional properties 'moed' not allowed/],
    [{ config: { response: { inject: ['trace'] } } }, /'\/config\/response\/inject\/0'/],
    [{ direction: 'inbound' }, /direction: expected none in case sidecar-observe, found inbound/],
    [{ config: { direction: 'inbound' } }, /direction: expected none in case sidecar-observe, found inbound/],
    [{ collector: 'c' }, /collector: expected a case with spans, found case sidecar-observe/],
    [{ case: 'waypoint', selector: { matchLabels: { a: 'b' } } }, /selector: expected targetRefs/],
    [
      { selector: { matchLabels: { a: 'b' } }, targetRefs: [{ kind: 'Gateway', name: 'x' }] },
      /selector, targetRefs: expected one of them, found both/,
    ],
  ];
  for (const [values, said] of rows) {
    const { status, stderr } = template({ ...SET, ...values });
    assert.notEqual(status, 0, JSON.stringify(values));
    assert.match(stderr, said);
  }
});

test('values.yaml and the README name every value and case', () => {
  const { properties } = readYaml('envoy/istio/chart/values.schema.json');
  assert.deepEqual(properties.case.enum, CASES);
  const [values, readme] = ['values.yaml', 'README.md'].map((file) => readFileSync(`${CHART}/${file}`, 'utf8'));
  for (const name of Object.keys(properties).filter((value) => value !== 'global')) {
    assert.match(values, new RegExp(`^(# )?${name}:`, 'm'));
    assert.match(readme, new RegExp(`^\\| .*\`${name}\``, 'm'));
  }
  for (const name of CASES) assert.match(values, new RegExp(`^# .*\\b${name}(,|$)`, 'm'));
});

test('the values that values.yaml leaves out can be used as they are written there', () => {
  const written = readFileSync(`${CHART}/values.yaml`, 'utf8').replace(/^# (?=( {2}|\w+: ?.*$|\w+:$))/gm, '');
  const { status, stderr } = inScratch((path) => {
    writeFileSync(path('values.yaml'), written.replace(/^targetRefs:\n.*\n/m, '').replace(/^case: .*/m, 'case: ingress-spans'));
    return helm('template', 'release', CHART, '--values', path('values.yaml'), '--set', `image=${SET.image},digest=${SET.digest}`);
  });
  assert.equal(status, 0, stderr);
});

test('the package has every file', () => {
  inScratch((path) => {
    const { status, stderr } = helm('package', CHART, '--destination', path('.'));
    assert.equal(status, 0, stderr);
    const { version } = readYaml('envoy/istio/chart/Chart.yaml');
    const packed = path(`tracewarden-${version}.tgz`);
    const listed = execFileSync('tar', ['-tzf', packed], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(listed.sort(), files(CHART).map((file) => `tracewarden/${file}`).sort());
    assert.deepEqual(rendered({}, packed), rendered({}));
  });
});

test('it can be a part of another chart', () => {
  inScratch((path) => {
    mkdirSync(path('charts'));
    writeFileSync(path('Chart.yaml'), JSON.stringify({ apiVersion: 'v2', name: 'shop', version: '1.0.0' }));
    cpSync(CHART, path('charts/tracewarden'), { recursive: true });
    const { status, stdout, stderr } = template({ global: { region: 'x' }, tracewarden: SET }, path('.'));
    assert.equal(status, 0, stderr);
    assert.match(stdout, /name: tracewarden-inbound/);
  });
});

test('the chart has the version of the module', () => {
  const [, version] = readFileSync(inRepository('Cargo.toml'), 'utf8').match(/\[workspace\.package\][^]*?^version = "(.+)"/m);
  const chart = readYaml('envoy/istio/chart/Chart.yaml');
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});
