// The demo mesh on free ports, as `make envoy-up` runs it.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { inRepository } from './repository.js';

const run = promisify(execFile);

/** The edge, the applications, the collector and the page, and Envoy's admin endpoint after them. */
const PORTS = 14;
const PAGE = 12;

export class Mesh {
  #run = mkdtempSync(join(tmpdir(), 'tracewarden-page-'));

  static async start() {
    const mesh = new Mesh();
    mesh.edge = await freePorts();
    mesh.port = mesh.edge + PAGE;
    mesh.admin = mesh.edge + PORTS - 1;
    mesh.url = `http://127.0.0.1:${mesh.port}/`;
    try {
      await mesh.up();
    } catch (error) {
      await mesh.stop();
      throw error;
    }
    return mesh;
  }

  /** Where the logs are. */
  get logs() { return join(this.#run, 'mesh'); }

  async up() {
    if (!process.env.ENVOY) throw new Error('ENVOY must name an Envoy; `make page` does');
    await this.#mesh('up', '--envoy', process.env.ENVOY, '--port', String(this.edge), '--admin-port', String(this.admin));
  }

  async down() {
    await this.#mesh('down');
  }

  async stop() {
    await this.down();
    rmSync(this.#run, { recursive: true, force: true });
  }

  /** Makes that many requests to each of the demo's paths. */
  async traffic(times, paths = ['checkout', 'lossy', 'mangler']) {
    for (let made = 0; made < times; made += 1) {
      for (const path of paths) {
        const answer = await fetch(`http://127.0.0.1:${this.edge}/${path}`, { signal: AbortSignal.timeout(10_000) });
        await answer.text();
        if (answer.status !== 200) throw new Error(`/${path} answered ${answer.status}`);
      }
    }
  }

  async #mesh(verb, ...options) {
    const command = [inRepository('envoy/mesh.py'), verb, '--run-dir', join(this.#run, 'mesh'), ...options];
    await run('python3', command, { timeout: 120_000 });
  }
}

async function freePorts() {
  for (let tries = 0; tries < 50; tries += 1) {
    // Below those that the system hands out by itself.
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const row = Array.from({ length: PORTS }, (_, place) => first + place);
    const free = await Promise.all(row.map(isFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${PORTS} free ports in a row`);
}

/** To bind is not enough to know: Envoy shares its ports. */
async function isFree(port) {
  const accepted = await settled(connect({ port, host: '127.0.0.1' }), 'connect');
  return !accepted && settled(createServer().listen(port, '127.0.0.1'), 'listening');
}

/** Whether it comes to that event and not to an error; it is closed at once. */
function settled(socket, event) {
  return new Promise((resolve) => {
    const close = () => (socket.destroy ?? socket.close).call(socket, () => {});
    socket.once(event, () => { socket.once('close', () => resolve(true)); close(); });
    socket.once('error', () => resolve(false));
  });
}
