// envoy/compose, as far as it can be tried without Docker: the Compose Specification allows it, and the programs that it names read
// the files that it gives them, at their places in the containers.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import Ajv from 'ajv';
import { parse } from 'yaml';

import { inScratch } from './envoy.js';
import { inRepository, readYaml, tool } from './support.js';

const DIRECTORY = 'envoy/compose';
const DASHBOARD = 'envoy/grafana/tracewarden.json';
const COMPOSE = readYaml(`${DIRECTORY}/compose.yaml`);
const SERVICES = COMPOSE.services;

/** The specification as a package has it, for a draft that this validator knows by another name. */
const SCHEMA = inRepository('tests/manifests/node_modules/dclint/schemas/compose.schema.json');
const { $schema: _, ...specification } = JSON.parse(readFileSync(SCHEMA, 'utf8'));
const isCompose = new Ajv({ strict: false, formats: { duration: true } }).compile(specification);

/** The published ports, each with its address here and the port in the containers. */
const PORTS = Object.values(SERVICES).flatMap(({ ports = [] }) => ports.map((port) => port.split(':')));

/** The file of this repository that a container has at a place. */
function mounted(service, place) {
  const volume = SERVICES[service].volumes.find(({ target }) => place === target || place.startsWith(`${target}/`));
  assert.ok(volume, `${service} has no ${place}`);
  return sourceOf(volume) + place.slice(volume.target.length);
}

/** What is mounted, whose path counts from the file. */
function sourceOf({ source }) {
  return resolve(inRepository(DIRECTORY), source);
}

/** The value of an option that a service's program is started with. */
function option(service, name) {
  return SERVICES[service].command.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

test('the Compose Specification allows it, and a mistake is found', () => {
  assert.ok(isCompose(COMPOSE), JSON.stringify(isCompose.errors));
  const mistakes = [
    ({ envoy }) => (envoy.prots = []),
    ({ envoy }) => delete envoy.volumes[0].type,
    ({ envoy }) => (envoy.ports = '127.0.0.1:1:1'),
    ({ grafana }) => (grafana.environment.GF_PATHS_PROVISIONING = {}),
    ({ grafana }) => (grafana.network_mode = ['service:envoy']),
  ];
  for (const mistake of mistakes) {
    const compose = structuredClone(COMPOSE);
    mistake(compose.services);
    assert.ok(!isCompose(compose), `${mistake}`);
  }
});

test('all share the network of one, which publishes their ports', () => {
  const { envoy, ...others } = SERVICES;
  assert.deepEqual(Object.keys(others).sort(), ['applications', 'grafana', 'jaeger', 'prometheus']);
  for (const [name, service] of Object.entries(others)) assert.equal(service.network_mode, 'service:envoy', name);
  assert.equal(envoy.ports.length, PORTS.length);
});

test('every image has a tag, and no registry', () => {
  for (const [name, { image }] of Object.entries(SERVICES)) assert.match(image, /^[a-z]+(\/[a-z]+)?:v?\d+\.\d+[\w.-]*$/, name);
  const [, version] = readFileSync(inRepository('make/borrowed.mk'), 'utf8').match(/^ENVOY_VERSION \?= (\S+)$/m);
  assert.equal(SERVICES.envoy.image, `envoyproxy/envoy:v${version}`);
});

test('only ports on loopback are published, and the document names them', () => {
  assert.ok(PORTS.length >= 5, `${PORTS.length} ports`);
  const told = readFileSync(inRepository('docs/monitoring.md'), 'utf8');
  for (const [address, published, ...inside] of PORTS) {
    assert.deepEqual([address, inside.length], ['127.0.0.1', 1], published);
    assert.ok(told.includes(`\n| ${published} |`), `docs/monitoring.md says nothing of ${published}`);
  }
});

test('nothing of this repository can be written, and a module that is not built yet is missed', () => {
  const volumes = Object.values(SERVICES).flatMap(({ volumes = [] }) => volumes);
  for (const { source, type, read_only: readOnly, ...rest } of volumes) {
    assert.deepEqual([type, readOnly, existsSync(sourceOf({ source }))], ['bind', true, true], source);
    // Otherwise Docker makes a directory of that name.
    if (source.endsWith('.wasm')) assert.equal(rest.bind.create_host_path, false);
  }
  assert.ok(volumes.some(({ source }) => source.endsWith('.wasm')));
});

test('Envoy accepts what it is started with', () => {
  const { command, working_dir: directory, volumes, tmpfs } = SERVICES.envoy;
  inScratch((path) => {
    for (const { target, ...volume } of volumes) {
      mkdirSync(dirname(path(`.${target}`)), { recursive: true });
      symlinkSync(sourceOf(volume), path(`.${target}`));
    }
    for (const entry of tmpfs) mkdirSync(path(`.${entry.split(':')[0]}`), { recursive: true });
    const validate = (words) =>
      spawnSync(tool('ENVOY'), [...words, '--mode', 'validate', '-l', 'error'], { cwd: path(`.${directory}`), encoding: 'utf8' });
    const words = command.slice(1).filter((word, place, all) => ![word, all[place - 1]].includes('--component-log-level'));
    const { status, stderr } = validate(words);
    assert.equal(status, 0, stderr);
    assert.notEqual(validate(words.map((word) => word.replace('stat_prefix: published_edge', 'prefix: published_edge'))).status, 0);
  });
});

test('what is published is listened at, and leads to the edge and to the page', () => {
  const { command } = SERVICES.envoy;
  const { listeners, clusters } = parse(command[command.indexOf('--config-yaml') + 1]).static_resources;
  const own = readYaml('envoy/envoy.yaml').static_resources.listeners;
  const leads = listeners.map(({ address, filter_chains: [{ filters: [{ typed_config: proxy }] }] }) => {
    const { port_value: from, address: at } = address.socket_address;
    const { load_assignment: to } = clusters.find(({ name }) => name === proxy.cluster);
    const [{ endpoint }] = to.endpoints[0].lb_endpoints;
    const behind = own.find((listener) => isDeepStrictEqual(listener.address, endpoint.address));
    assert.equal(at, '0.0.0.0');
    return [`${from}`, `${behind.address.socket_address.port_value}`, behind.name];
  });
  assert.deepEqual(leads.map(([, , name]) => name), ['edge', 'report']);
  for (const [from, as] of leads) assert.ok(PORTS.some(([, published, inside]) => inside === from && published === as), as);
});

test('Prometheus accepts its configuration, and the demo mesh exports to the port of Jaeger', () => {
  const file = mounted('prometheus', option('prometheus', '--config.file'));
  const { status, stderr } = spawnSync(inRepository('.venv/bin/promtool'), ['check', 'config', file], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const { clusters } = readYaml('envoy/envoy.yaml').static_resources;
  const { load_assignment: collector } = clusters.find(({ name }) => name === 'otel_collector');
  const { address, port_value: port } = collector.endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
  assert.equal(option('jaeger', '--set'), `receivers.otlp.protocols.http.endpoint=${address}:${port}`);
});

test('Grafana is given its data sources and the dashboard, by the fields that it documents', () => {
  const { environment } = SERVICES.grafana;
  const directory = mounted('grafana', environment.GF_PATHS_PROVISIONING);
  const provisioning = (kind) => {
    const [file, ...others] = readdirSync(join(directory, kind));
    assert.deepEqual(others, []);
    return readYaml(`envoy/compose/grafana/${kind}/${file}`);
  };
  const { apiVersion, datasources, ...unknown } = provisioning('datasources');
  assert.deepEqual([apiVersion, unknown], [1, {}]);
  const fields = ['access', 'isDefault', 'jsonData', 'name', 'type', 'uid', 'url'];
  const published = PORTS.map(([, , inside]) => `http://127.0.0.1:${inside}`);
  for (const source of datasources) {
    assert.deepEqual(Object.keys(source).filter((field) => !fields.includes(field)), [], source.name);
    assert.ok(published.includes(source.url), source.url);
  }
  const { templating } = JSON.parse(readFileSync(inRepository(DASHBOARD), 'utf8'));
  const [variable] = templating.list.filter(({ type }) => type === 'datasource');
  assert.equal(datasources.find(({ isDefault }) => isDefault).type, variable.query);
  const { providers } = provisioning('dashboards');
  assert.deepEqual(Object.keys(providers[0]).sort(), ['name', 'options', 'type']);
  const place = mounted('grafana', providers[0].options.path);
  assert.ok(statSync(join(place, 'tracewarden.json')).isFile());
  assert.equal(mounted('grafana', environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH), inRepository(DASHBOARD));
});

test("Grafana's own definitions know every field of the dashboard, and miss a mistake nowhere", () => {
  const judged = (file) => {
    const judge = inRepository('tests/manifests/dashboard.py');
    const { status, stdout, stderr } = spawnSync(inRepository('.venv/grafana/bin/python'), ['-B', judge, file], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout.split('\n').filter(Boolean);
  };
  assert.deepEqual(judged(inRepository(DASHBOARD)), []);
  const dashboard = JSON.parse(readFileSync(inRepository(DASHBOARD), 'utf8'));
  const [, graph] = dashboard.panels.filter(({ type }) => type === 'timeseries');
  const places = [dashboard, dashboard.templating.list[1], graph, graph.targets[0], graph.options.legend, graph.fieldConfig.defaults];
  for (const place of places) place.mistake = 1;
  inScratch((path) => {
    writeFileSync(path('dashboard.json'), JSON.stringify(dashboard));
    const found = judged(path('dashboard.json'));
    assert.equal(found.length, places.length, found.join('\n'));
    for (const line of found) assert.match(line, /\/mistake is unknown$/);
  });
});
