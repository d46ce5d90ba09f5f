// What docs/mesh-cost.md says of series: how many a sidecar has, and that its rule leaves the buckets out.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { parse } from 'yaml';

import { isBucket, series, sides, traffic } from './cost.js';
import { eventually, running } from './envoy.js';
import { scraped } from './prometheus.js';
import { inRepository, readYaml } from './support.js';

const DOCUMENT = readFileSync(inRepository('docs/mesh-cost.md'), 'utf8');
/** More than enough requests that some are timed. */
const REQUESTS = 200;

/** The numbers of a row. */
function row(name) {
  const [, numbers] = DOCUMENT.match(new RegExp(`^\\| ${name} \\| (.*) \\|$`, 'm')) ?? assert.fail(name);
  return numbers.split(' | ').map(Number);
}

const count = async (admin) => {
  const names = await series(admin);
  return [names.length, names.filter(isBucket).length];
};

test('a sidecar has as many series as the document says', () =>
  running(sides(true), async ({ admin, ports }) => {
    assert.deepEqual(await count(admin), row('loaded, no request yet'));
    for (const port of Object.values(ports)) await traffic(port, REQUESTS);
    await eventually('the histograms', async () => assert.deepEqual(await count(admin), row('with traffic')));
  }));

test("the document's rule leaves the buckets out of Prometheus, and nothing else", () =>
  running(sides(true), async ({ admin, ports }) => {
    for (const port of Object.values(ports)) await traffic(port, REQUESTS);
    const [all, buckets] = row('with traffic');
    await eventually('the histograms', async () => assert.deepEqual(await count(admin), [all, buckets]));
    const [, drop] = DOCUMENT.match(/```yaml\n(- source_labels[^]*?)```/);
    const [{ metric_relabel_configs: rules }] = readYaml('envoy/istio/prometheus.yaml').scrape_configs;
    const jobs = { every: { address: admin, rules }, fewer: { address: admin, rules: [...rules, ...parse(drop)] } };
    const ours = (found) => found.filter(([{ __name__: name }]) => name.startsWith('tracewarden_')).length;
    await scraped(jobs, (ask) =>
      eventually('two scrapes', async () => {
        assert.deepEqual([ours(await ask('every')), ours(await ask('fewer'))], [all, all - buckets]);
      }),
    );
  }));

/** As the document writes sizes. */
function size(mebibytes) {
  const gibibytes = mebibytes / 1024;
  if (gibibytes < 1) return `${mebibytes.toFixed(0)} MiB`;
  return `${gibibytes.toFixed(gibibytes < 10 ? 1 : 0)} GiB`;
}

test("the document's rows are what its formulas give", () => {
  const [all, buckets] = row('with traffic');
  const bytesOfSeries = ((24 * 3600) / 15) * 2 * 15;
  const store = (series) => [series.toLocaleString('en'), size((series * 4) / 1024), size((series * bytesOfSeries) / 2 ** 20)];
  for (const pods of [50, 500, 5000]) {
    const cores = (pods * 20 * (12 + 9 * 2)) / 1e6;
    const cells = [pods.toLocaleString('en'), size(pods * 38), cores.toFixed(2), ...store(pods * all)];
    const expected = `| ${cells.join(' | ')} | ${store(pods * (all - buckets)).join('; ')} |`;
    assert.ok(DOCUMENT.includes(`\n${expected}\n`), expected);
  }
});
