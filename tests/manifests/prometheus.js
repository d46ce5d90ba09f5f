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

/** What a Prometheus gets of these addresses, by the job's name: every series with its labels and its value. */
export function scraped(jobs, use) {
  const scrapes = Object.entries(jobs).map(([job_name, { address, path = '/stats/prometheus', rules = [] }]) => ({
    job_name,
    metrics_path: path,
    scrape_interval: '1s',
    metric_relabel_configs: rules,
    static_configs: [{ targets: [address] }],
  }));
  return prometheus(scrapes, (get) =>
    use(async (job, selector = '') => {
      const { result } = await get(`query?query=${encodeURIComponent(`{job="${job}", __name__!~"up|scrape_.*"${selector}}`)}`);
      return result.map(({ metric: { job: _, instance: __, ...metric }, value }) => [metric, value[1]]);
    }),
  );
}

/** A rule of relabelling, which the Prometheus operator writes with other names. */
export function inPrometheus({ sourceLabels, targetLabel, ...rule }) {
  return {
    ...(sourceLabels && { source_labels: sourceLabels }),
    ...(targetLabel && { target_label: targetLabel }),
    ...rule,
  };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
