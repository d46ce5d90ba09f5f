// What a sidecar pays for sidecar-observe in the real Envoy: its series, its memory and its processor. `make bench-sidecar`
// prints what docs/mesh-cost.md says.

import { readFileSync, readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { pathToFileURL } from 'node:url';

import { bootstrap, listener, pluginFilter, running } from './envoy.js';
import { TRACEPARENT, statsConfig } from './sidecar.js';
import { PLUGINS } from './support.js';

const SIDES = [
  ['inbound', 'inbound_0.0.0.0_8080;'],
  ['outbound', 'outbound_10.0.0.1_80;'],
];
const RUNS = 7;
const REQUESTS = 10_000;
/** Requests for each measurement of the processor's time. */
const TIMED_REQUESTS = 40_000;
const CONNECTIONS = [1, 16];
const WORKERS = [1, 2, 4];

/** Both listeners of a sidecar as Istio names them, with the overlay's plugins or without any. */
export function sides(filtered, tags = []) {
  const plugins = PLUGINS.filter((plugin) => plugin.case === 'sidecar-observe');
  const listeners = SIDES.map(([side, prefix]) =>
    listener(side, prefix, filtered ? [pluginFilter(plugins.find((plugin) => plugin.listener === side))] : []),
  );
  return bootstrap(listeners, { stats_config: statsConfig(tags) });
}

/** Sends a request and reads the answer. */
export function send(port, headers, agent) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/cart', headers, agent }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    });
    sent.on('error', reject).end();
  });
}

/** So many requests over some connections, on each of them one after another. */
export async function traffic(port, requests, headers = { traceparent: TRACEPARENT }, connections = 1) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const share = async () => {
    for (let sent = 0; sent < requests / connections; sent++) await send(port, headers, agent);
  };
  try {
    await Promise.all(Array.from({ length: connections }, share));
  } finally {
    agent.destroy();
  }
}

/** The names of Tracewarden's series, each with its labels. */
export async function series(admin) {
  const text = await (await fetch(`http://${admin}/stats/prometheus`)).text();
  return text
    .split('\n')
    .filter((line) => line.includes('tracewarden') && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')));
}

export const isBucket = (name) => /_bucket\{/.test(name);

/** The resident and the private memory of a process, in MiB. */
function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const size = (field) => Number(text.match(new RegExp(`^${field}: +(\\d+) kB`, 'm'))[1]) / 1024;
  return [size('Rss'), size('Private_Clean') + size('Private_Dirty')];
}

/** The microseconds for which the workers of an Envoy were on a processor. */
function busy(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
  const workers = tasks.filter((task) => readFileSync(`${task}/comm`, 'utf8').startsWith('wrk:worker'));
  return workers.reduce((sum, task) => sum + Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1000;
}

const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

async function measureMemory(filtered, workers) {
  const runs = [];
  for (let run = 0; run < RUNS; run++) {
    const use = async ({ pid, ports }) => {
      const started = memory(pid);
      for (const port of Object.values(ports)) await traffic(port, REQUESTS / 2);
      return [...started, ...memory(pid)];
    };
    runs.push(await running(sides(filtered), use, workers));
  }
  return runs[0].map((_, column) => median(runs.map((run) => run[column])));
}

/** The microseconds of a worker for a request, by the side and the number of connections. */
function measureTime(filtered) {
  return running(sides(filtered), async ({ pid, ports }) => {
    const found = {};
    for (const [side, port] of Object.entries(ports)) {
      for (const connections of CONNECTIONS) {
        await traffic(port, REQUESTS / 10, undefined, connections);
        const before = busy(pid);
        await traffic(port, TIMED_REQUESTS, undefined, connections);
        found[`${side}, ${connections}`] = (busy(pid) - before) / TIMED_REQUESTS;
      }
    }
    return found;
  });
}

async function printMemory() {
  console.log(`| MiB, median of ${RUNS} runs | workers | resident, started | private | after ${REQUESTS} requests | private |\n|---|---|---|---|---|---|`);
  for (const workers of WORKERS) {
    for (const filtered of [false, true]) {
      const sizes = await measureMemory(filtered, workers);
      console.log(`| ${filtered ? 'sidecar-observe' : 'no filter'} | ${workers} | ${sizes.map((size) => size.toFixed(1)).join(' | ')} |`);
    }
  }
}

/** With the filter and without it in turn. What else the machine does only ever adds to a time, so the least one counts. */
async function printTime() {
  const runs = [];
  for (let run = 0; run < RUNS; run++) runs.push([await measureTime(false), await measureTime(true)]);
  console.log(`\n| µs of a worker, least of ${RUNS} runs | no filter | sidecar-observe | added |\n|---|---|---|---|`);
  for (const place of Object.keys(runs[0][0])) {
    const [bare, all] = [0, 1].map((column) => Math.min(...runs.map((run) => run[column][place])));
    console.log(`| ${place} at a time | ${bare.toFixed(1)} | ${all.toFixed(1)} | ${(all - bare).toFixed(1)} |`);
  }
}

async function printSeries() {
  await running(sides(true), async ({ admin, ports }) => {
    for (const port of Object.values(ports)) await traffic(port, 200);
    const names = await series(admin);
    console.log(`\n${names.length} series, of which ${names.filter(isBucket).length} are buckets\n${names.filter((name) => !isBucket(name)).join('\n')}`);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await printMemory();
  await printTime();
  await printSeries();
}
