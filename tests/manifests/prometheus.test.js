// The scrape that docs/istio.md recommends: Prometheus takes it, and names the workload.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { eventually, inScratch } from './envoy.js';
import { inRepository, readYaml } from './support.js';

const [JOB] = readYaml('envoy/istio/prometheus.yaml').scrape_configs;
const CANONICAL = '__meta_kubernetes_pod_label_service_istio_io_canonical_name';
const APP = '__meta_kubernetes_pod_label_app';

test('it looks at every pod', () => {
  assert.deepEqual(JOB.kubernetes_sd_configs, [{ role: 'pod' }]);
});

test('promtool accepts the rest, and finds a mistake in it', () => {
  assert.equal(refusal(standingIn([])), '');
  const mistaken = standingIn([]);
  mistaken.scrape_configs[0].relabel_configs[0].regexp = '.*';
  assert.match(refusal(mistaken), /regexp/);
});

test('the port of a proxy is scraped, with the names of its namespace and its workload', async () => {
  // What Kubernetes reports of a port, and the name of the workload, or none if it is not scraped.
  const rows = [
    [{ [CANONICAL]: 'cart', [APP]: 'old-cart' }, 'http-envoy-prom', 'cart'],
    [{ [APP]: 'cart' }, 'http-envoy-prom', 'cart'],
    [{}, 'http-envoy-prom', 'cart-0'],
    [{ [CANONICAL]: 'cart' }, 'http', undefined],
  ];
  const targets = rows.map(([labels, port], row) => ({
    targets: [`127.0.0.1:${row + 1}`],
    labels: {
      __meta_kubernetes_namespace: 'shop',
      __meta_kubernetes_pod_name: 'cart-0',
      __meta_kubernetes_pod_container_port_name: port,
      ...labels,
    },
  }));
  const found = await discovered(targets);
  rows.forEach(([, , workload], row) => {
    const target = found.find(({ instance }) => instance === `127.0.0.1:${row + 1}`);
    const expected = workload && { job: 'tracewarden', instance: `127.0.0.1:${row + 1}`, namespace: 'shop', workload };
    assert.deepEqual(target, expected);
  });
});

/** The scrape with static targets instead of Kubernetes' own, which a Prometheus may be built without. */
function standingIn(targets) {
  const { kubernetes_sd_configs: _, ...job } = structuredClone(JOB);
  return { global: { scrape_interval: '1h' }, scrape_configs: [{ ...job, static_configs: targets }] };
}

/** What promtool says against a configuration; nothing if it is valid. */
function refusal(config) {
  return inScratch((path) => {
    writeFileSync(path('prometheus.yaml'), JSON.stringify(config));
    const arguments_ = ['check', 'config', path('prometheus.yaml')];
    const { status, stdout, stderr } = spawnSync(inRepository('.venv/bin/promtool'), arguments_, { encoding: 'utf8' });
    return status === 0 ? '' : stdout + stderr;
  });
}

/** The labels that a real Prometheus gives these targets. */
async function discovered(targets) {
  const port = await freePort();
  return inScratch(async (path) => {
    writeFileSync(path('prometheus.yaml'), JSON.stringify(standingIn(targets)));
    const prometheus = spawn(
      inRepository('.venv/bin/prometheus'),
      [
        `--config.file=${path('prometheus.yaml')}`,
        `--storage.tsdb.path=${path('data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const ended = new Promise((resolve) => prometheus.once('exit', resolve));
    try {
      return await eventually('Prometheus to find its targets', async () => {
        const { data } = await (await fetch(`http://127.0.0.1:${port}/api/v1/targets?state=active`)).json();
        if (data.activeTargets.length === 0) throw new Error('none yet');
        return data.activeTargets.map(({ labels }) => labels);
      });
    } finally {
      prometheus.kill();
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
