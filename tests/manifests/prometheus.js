// The real Prometheus, for as long as a test takes.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { eventually, inScratch } from './envoy.js';
import { inRepository } from './support.js';

/** Lets a Prometheus run with these scrapes for as long as `use` takes; it is given a way to ask its API. */
export function prometheus(scrapes, use) {
  return inScratch(async (path) => {
    const address = `127.0.0.1:${await freePort()}`;
    writeFileSync(path('prometheus.yaml'), JSON.stringify({ scrape_configs: scrapes }));
    const options = [`--config.file=${path('prometheus.yaml')}`, `--storage.tsdb.path=${path('data')}`];
    const child = spawn(
      inRepository('.venv/bin/prometheus'),
      [...options, `--web.listen-address=${address}`, '--log.level=error'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const get = async (question) => (await (await fetch(`http://${address}/api/v1/${question}`)).json()).data;
    try {
      await eventually('Prometheus to start', () => get('status/runtimeinfo'));
      return await use(get);
    } finally {
      child.kill();
      await ended;
    }
  });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
