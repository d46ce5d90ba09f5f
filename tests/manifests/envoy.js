// The real Envoy, configured as Istio configures its proxies.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { inRepository, tool } from './support.js';

const API = 'type.googleapis.com/envoy';
const LOOPBACK = { socket_address: { address: '127.0.0.1', port_value: 0 } };
const PATIENCE_MS = 30_000;

/** A WasmPlugin as istiod hands it to a proxy: its configuration is JSON in a string. */
export function pluginFilter({ config, environment, failure }) {
  return {
    name: 'tracewarden',
    typed_config: {
      '@type': `${API}.extensions.filters.http.wasm.v3.Wasm`,
      config: {
        name: 'tracewarden',
        configuration: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: JSON.stringify(config) },
        failure_policy: failure,
        vm_config: {
          runtime: 'envoy.wasm.runtime.v8',
          code: { local: { filename: inRepository('target/tracewarden.wasm') } },
          environment_variables: { key_values: environment },
        },
      },
    },
  };
}

/** A listener whose connection manager bears this name in the stats, and answers everything itself. */
export function listener(name, statPrefix, filters, accessLog = []) {
  const router = { name: 'router', typed_config: { '@type': `${API}.extensions.filters.http.router.v3.Router` } };
  const manager = {
    '@type': `${API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: statPrefix,
    access_log: accessLog,
    route_config: {
      virtual_hosts: [
        { name, domains: ['*'], routes: [{ name: 'default', match: { prefix: '/' }, direct_response: { status: 200 } }] },
      ],
    },
    http_filters: [...filters, router],
  };
  return { name, address: LOOPBACK, filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }] };
}

export function bootstrap(listeners, rest = {}) {
  return { admin: { address: LOOPBACK }, static_resources: { listeners }, ...rest };
}

/** What Envoy says against a configuration; nothing if it would start with it. */
export function complaint(configuration) {
  return inScratch((path) => {
    writeFileSync(path('envoy.json'), JSON.stringify(configuration));
    const { status, stderr } = spawnSync(tool('ENVOY'), ['--mode', 'validate', '-c', path('envoy.json'), '-l', 'error'], {
      encoding: 'utf8',
      timeout: PATIENCE_MS,
    });
    return status === 0 ? '' : stderr || 'no answer in time';
  });
}

/** Lets an Envoy run for as long as `use` takes; it is given its process, the ports by name and a way to read Envoy's files. */
export function running(configuration, use, workers = 1) {
  return inScratch(async (path) => {
    writeFileSync(path('envoy.json'), JSON.stringify(configuration).replaceAll('/dev/stdout', path('access.log')));
    const files = ['-c', path('envoy.json'), '--admin-address-path', path('admin')];
    const envoy = spawn(tool('ENVOY'), [...files, '--disable-hot-restart', '--concurrency', String(workers), '-l', 'error'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => envoy.once('exit', resolve));
    try {
      const admin = await eventually('Envoy to start', () => addressIn(path('admin')));
      const ports = await eventually('its listeners', () => portsOf(admin, configuration.static_resources.listeners.length));
      return await use({ admin, pid: envoy.pid, ports, accessLog: () => readFileSync(path('access.log'), 'utf8') });
    } finally {
      envoy.kill();
      await ended;
    }
  });
}

/** Envoy makes the file first, and writes into it then. */
function addressIn(file) {
  const [address] = readFileSync(file, 'utf8').match(/.+:\d+/) ?? [];
  if (!address) throw new Error(`no address in ${file}`);
  return address;
}

async function portsOf(admin, count) {
  const { listener_statuses: listeners = [] } = await (await fetch(`http://${admin}/listeners?format=json`)).json();
  if (listeners.length < count) throw new Error(`${listeners.length} of ${count} listeners`);
  return Object.fromEntries(listeners.map(({ name, local_address: address }) => [name, address.socket_address.port_value]));
}

/** Tries until it succeeds, or says what the last attempt said. */
export async function eventually(what, attempt) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}`, { cause: error });
      await sleep(20);
    }
  }
}

/** A directory that is gone afterwards. */
export function inScratch(use) {
  const directory = mkdtempSync(join(tmpdir(), 'tracewarden-'));
  const remove = () => rmSync(directory, { recursive: true });
  let result;
  try {
    result = use((name) => join(directory, name));
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove);
  remove();
  return result;
}
