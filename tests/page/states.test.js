// What the page makes of stats that the demo mesh does not have: they are put into the answers of its Envoy.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { inRepository } from './repository.js';
import { chromium, mesh } from './stage.js';
import { overflowing, rows, tiles, visit } from './visit.js';

const TIMEOUT = { timeout: 60_000 };
const source = (path) => readFileSync(inRepository(path), 'utf8');

/** A stat of the filter's, as Envoy names it. */
function stat(metric, labels, value) {
  const words = Object.entries(labels).map(([label, is]) => `${label}=.=${is};.;`);
  return { name: `wasmcustom.${words.join('')}tracewarden_${metric}`, value };
}

const INBOUND = { direction: 'inbound', role: 'internal', mode: 'enforce' };
const OUTBOUND = { ...INBOUND, direction: 'outbound' };
const EDGE = { ...INBOUND, role: 'edge' };
const request = (labels, context, value) => stat('requests_total', { ...labels, context }, value);
const corrupt = (labels, header, reason, value) => stat('corrupt_total', { ...labels, header, reason }, value);

/** Opens the page on these stats; what is pushed later comes with the next reading. */
async function open(stats, options = {}) {
  const current = { stats, readings: 0, status: 200 };
  const answer = (route) => {
    current.readings += 1;
    return route.fulfill({ status: current.status, json: { stats: current.stats } });
  };
  const visited = await visit(chromium.browser, mesh.url, options, { stats: answer, quiet: options.quiet });
  await visited.says('#live', /^Live/);
  return { ...visited, current };
}

const finding = (page) => page.locator('#finding').evaluate((all) =>
  [all.dataset.state, ...[...all.querySelectorAll('h2, li')].map((line) => {
    const text = line.cloneNode(true);
    text.querySelector('.when')?.remove();
    return text.textContent.replaceAll('\u00a0', ' ').trim();
  })]);
const unfold = (page) => page.locator('#folded').click().then(() => page.locator('#healthy table').waitFor());
const shown = (page, selector) => page.innerText(selector).then((text) => text.replace(/\s+/g, ' '));

test('the policy lets the page’s own script and style run', () => {
  const html = source('envoy/report/index.html'), yaml = source('envoy/envoy.yaml');
  for (const tag of ['script', 'style']) {
    const bodies = [...html.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))];
    assert.equal(bodies.length, 1, tag);
    const hash = createHash('sha256').update(bodies[0][1]).digest('base64');
    const wanted = `${tag}-src 'sha256-${hash}'`;
    assert.ok(yaml.includes(wanted), `the content-security-policy in envoy/envoy.yaml must have ${wanted}`);
  }
  assert.ok(Buffer.byteLength(html) < 72_000, `${Buffer.byteLength(html)} bytes`);
  // Nothing moves, so no one needs to ask for less motion.
  assert.doesNotMatch(html, /\b(transition|animation|animate)\b/);
  assert.doesNotMatch(html, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/);
});

/** What docs/metrics.md, which is made from the filter's own list of counters, says of a label's values. */
function words(metric, label) {
  const section = source('docs/metrics.md').split('\n### ').find((each) => each.startsWith(`tracewarden_${metric}\n`));
  const cells = section.split('\n').map((line) => line.split(' | '));
  return cells.filter(([name]) => name === `| \`${label}\``).map(([, value, text]) => [value.replaceAll('`', ''), text]);
}

/** The reasons that headers can be corrupt for, by the header, or `formats` for those of all other formats. */
function reasons() {
  const found = { traceparent: [], tracestate: [], 'x-request-id': [], formats: [] };
  for (const [reason, text] of words('corrupt_total', 'reason')) {
    for (const of of text.split('<br>')) found[/^`([^`]+)`: /.exec(of)?.[1] ?? 'formats'].push(reason);
  }
  return found;
}

test('every word that the filter counts by has a text, and no other', TIMEOUT, async () => {
  const { page, close } = await open([]);
  const known = await page.evaluate(() => Object.fromEntries(Object.entries(
    { ...REASONS, formats: FORMAT_REASONS, VERDICTS, REPAIRS, DECIDED_BY, DROPS, ANSWERS },
  ).map(([name, texts]) => [name, Object.keys(texts)])));
  const values = (metric, label) => words(metric, label).map(([value]) => value);
  const wanted = {
    ...reasons(), VERDICTS: values('requests_total', 'context'), REPAIRS: values('repairs_total', 'by'),
    DECIDED_BY: values('sampled_total', 'by'), DROPS: values('spans_dropped_total', 'cause'),
    ANSWERS: values('responses_total', 'context').filter((answer) => answer !== 'absent'),
  };
  const sorted = (sets) => Object.fromEntries(Object.entries(sets).map(([name, set]) => [name, [...set].sort()]));
  assert.deepEqual(sorted(known), sorted(wanted));
  assert.ok(Object.values(wanted).every((set) => set.length > 0));

  // The page and the tool give the same advice.
  const [causes, fixes] = await page.evaluate(() => [
    [...Object.values(REASONS), FORMAT_REASONS].flatMap((each) => Object.values(each)).flatMap(([, advice]) => advice),
    Object.fromEntries(Object.entries(DROPS).map(([cause, [, fix]]) => [cause, fix]))]);
  const advice = source('tool/src/report/advice.yaml').replace(/\s+/g, ' ');
  for (const text of causes) assert.ok(advice.includes(text), text);
  assert.deepEqual(fixes, fixesOfDrops());
  await close();
});

/** The fix for each cause of dropped spans, from the command's advice. */
function fixesOfDrops() {
  const rows = source('tool/src/report/advice.yaml')
    .matchAll(/when: \{cause: \[(\w+)\]\}\n.*\n.*\n +fix: (.*)\n/g);
  return Object.fromEntries([...rows].map(([, cause, fix]) => [cause, fix]));
}

test('every reason of every header is shown with its cause and fix', TIMEOUT, async () => {
  const { formats, ...own } = reasons();
  const all = words('corrupt_total', 'header').flatMap(([header]) => (own[header] ?? formats).map((reason) => [header, reason]));
  const { page, close } = await open([request(INBOUND, 'corrupt', 5), request(INBOUND, 'continued', 5),
    ...all.map(([header, reason], at) => corrupt({ direction: 'inbound' }, header, reason, 1000 - at))]);
  const told = await page.locator('#causes tbody').evaluateAll((bodies) => bodies.map((body) => body.innerText));
  assert.equal(told.length, all.length);
  for (const [at, [header, reason]] of all.entries()) {
    assert.ok(told[at].startsWith(`${header}: `) && told[at].includes(`${reason}, at inbound`), told[at]);
    assert.match(told[at], /Usual cause: [A-Z].*\.\s+Fix: [A-Z].*\.\s*$/s);
    assert.doesNotMatch(told[at], /Not known/);
  }
  await close();
});

test('no ratio mixes roles or modes, and requests that need no context are in none', TIMEOUT, async () => {
  const OBSERVED = { ...INBOUND, mode: 'observe' };
  const { page, close } = await open([
    request({ listener: 'edge', ...EDGE }, 'started', 1000), request({ listener: 'edge', ...EDGE }, 'corrupt', 500),
    request({ listener: 'edge', ...EDGE }, 'continued', 70), request({ listener: 'edge', ...EDGE }, 'untrusted', 30),
    request({ listener: 'a', ...INBOUND }, 'continued', 3), request({ listener: 'a', ...INBOUND }, 'lost', 1),
    request({ listener: 'a', ...INBOUND }, 'excluded', 400), request({ listener: 'a', ...INBOUND }, 'untrusted', 20),
    request({ listener: 'a', ...OBSERVED }, 'continued', 1), request({ listener: 'a', ...OBSERVED }, 'lost', 3),
    request({ listener: 'a', ...OBSERVED }, 'unlinked', 4),
    stat('repairs_total', { listener: 'edge', direction: 'inbound', by: 'new' }, 500),
    stat('repairs_total', { listener: 'edge', direction: 'inbound', by: 'format' }, 70),
    stat('repairs_total', { listener: 'a', direction: 'inbound', by: 'new' }, 2),
    stat('repairs_total', { listener: 'a', direction: 'inbound', by: 'correlation' }, 1),
  ]);
  assert.equal((await tiles(page)).Repaired.sentence, '1 kept their trace');
  const modes = await page.locator('#glance .mode').evaluateAll((all) => all.map((mode) =>
    [...mode.querySelectorAll('h3, .figure')].map((one) => one.innerText.replaceAll('\u00a0', ' '))));
  assert.deepEqual(modes, [['Enforced', '75 %', '25 %', '0 %', '3'],
    ['Observed only, nothing is repaired', '12.5 %', '37.5 %', '0 %', '50 %']]);
  assert.deepEqual(await rows(page, '#listeners > table'), [
    ['a inbound, observed only', '8', '3 37.5 %', '0', '4 50 %'],
    ['a inbound', '4', '1 25 %', '0', '0'],
  ]);
  assert.match(await shown(page, '#listeners > table'), /No context expected: 400 excluded, 20 untrusted sender\./);
  assert.deepEqual(await rows(page, '.edge'), [['edge inbound', '1,000', '70', '30', '500']]);
  assert.deepEqual(await finding(page), ['bad',
    'a (observed) receives 37.5 % of its requests without a trace context: its callers lose it.',
    'a (observed) starts a trace of its own in 50 % of its requests, instead of continuing one.',
    'a receives 25 % of its requests without a trace context: its callers lose it.']);
  await close();
});

test('repairs at the edge are left out if a label distinguishes them, and otherwise said to be included', TIMEOUT,
  async () => {
    const repair = (direction, value) => stat('repairs_total', { direction, by: 'new' }, value);
    const edge = [request(EDGE, 'corrupt', 7), repair('inbound', 7)];
    const { page, says, current, close } = await open([...edge, request(OUTBOUND, 'lost', 2), repair('outbound', 2)]);
    const repaired = async () => {
      const { figure, sentence } = (await tiles(page)).Repaired;
      return [figure, sentence];
    };
    assert.deepEqual(await repaired(), ['2', '0 kept their trace']);
    current.stats = [...edge.slice(0, 1), request(INBOUND, 'lost', 3), repair('inbound', 10)];
    await says('#glance', /edge included/);
    assert.deepEqual(await repaired(), ['10', '0 kept their trace (those at the edge included)']);
    await close();
  });

const WELL = request(INBOUND, 'continued', 1000);
const served = (prefix, value) => ({ name: `http.${prefix}.downstream_rq_total`, value });
const JOBS = 'This workload’s application makes 100 % of its requests without a trace context. '
  + 'They may be jobs that never had one.';
const FORGETS = ['bad', 'This workload’s application forgets the trace context in 100 % of its requests.'];
const ENABLED = (value) => stat('enabled', { direction: 'inbound' }, value);
const weighed = (context, ...counts) => ['request_id', 'in_flight', 'none'].map((evidence, at) =>
  stat('call_evidence_total', { mode: 'enforce', context, evidence }, counts[at]));
const FINDINGS = [
  ['intact', [WELL], ['good', 'Every expected trace context arrived intact']],
  ['a little is lost', [WELL, request(INBOUND, 'lost', 1)],
    ['good', 'Almost every expected trace context arrived intact']],
  ['at the threshold of loss', [request(INBOUND, 'continued', 95), request(INBOUND, 'lost', 5)],
    ['good', 'Almost every expected trace context arrived intact']],
  ['over it', [request(INBOUND, 'continued', 94), request(INBOUND, 'lost', 6)],
    ['bad', 'This workload receives 6 % of its requests without a trace context: its callers lose it.']],
  ['corruption counts from less', [request(INBOUND, 'continued', 98), request(INBOUND, 'corrupt', 2)],
    ['bad', 'This workload receives a corrupt trace context in 2 % of its requests: its callers corrupt it.']],
  ['the application loses', [WELL, request(OUTBOUND, 'lost', 10)], FORGETS],
  ['jobs that never had one', [request(INBOUND, 'lost', 0), request(OUTBOUND, 'lost', 10)], ['none', JOBS]],
  ['a context that came in while only observing proves it',
    [request({ ...INBOUND, mode: 'observe' }, 'continued', 9), request(OUTBOUND, 'lost', 10)], FORGETS],
  ['what the edge continues proves it', [request(EDGE, 'continued', 9), request(OUTBOUND, 'lost', 10)], FORGETS],
  ['what the edge starts proves it', [request(EDGE, 'started', 9), request(OUTBOUND, 'lost', 10)], FORGETS],
  ['what is untrusted proves it', [request(INBOUND, 'untrusted', 9), request(OUTBOUND, 'lost', 10)], FORGETS],
  ['what is only observed to start proves nothing', [request({ ...EDGE, mode: 'observe' }, 'started', 9),
    request({ ...INBOUND, mode: 'observe' }, 'untrusted', 9), request(OUTBOUND, 'lost', 10)], ['none', JOBS]],
  ['a repair on the way in proves it', [stat('repairs_total', { direction: 'inbound', by: 'new' }, 1),
    request(OUTBOUND, 'lost', 10)], FORGETS],
  ['a repair on the way out proves nothing', [stat('repairs_total', { direction: 'outbound', by: 'new' }, 10),
    request(OUTBOUND, 'lost', 10)], ['none', JOBS]],
  ['a hundredth of them traced proves it', [request(INBOUND, 'continued', 10), request(OUTBOUND, 'lost', 1000)], FORGETS],
  ['fewer prove nothing', [request(INBOUND, 'continued', 9), request(OUTBOUND, 'lost', 1000)], ['none', JOBS]],
  ['jobs are named last', [request(INBOUND, 'lost', 8), request(INBOUND, 'corrupt', 2), request(OUTBOUND, 'lost', 10)],
    ['bad', 'This workload receives 80 % of its requests without a trace context: its callers lose it.',
      'This workload receives a corrupt trace context in 20 % of its requests: its callers corrupt it.', JOBS]],
  ['no one is blamed if the direction is unknown', [request({ ...INBOUND, direction: 'unspecified' }, 'lost', 1),
    request({ ...INBOUND, direction: 'unspecified' }, 'corrupt', 1)],
  ['bad', 'This workload receives 50 % of its requests without a trace context.',
    'This workload receives a corrupt trace context in 50 % of its requests.']],
  ['nearly all', [WELL, request(OUTBOUND, 'lost', 99999), request(OUTBOUND, 'continued', 1)],
    ['bad', 'This workload’s application forgets the trace context in >99.9 % of its requests.']],
  ['only the edge', [request({ ...INBOUND, role: 'edge' }, 'started', 5)],
    ['good', 'No trace context was expected, so none was lost']],
  ['not loaded', [served('ingress', 3)],
    ['bad', 'Tracewarden counts nothing here', 'Its filter is in no listener, is switched off, or was not loaded (look for '
      + '“wasm” in Envoy’s log). Or stats_matcher leaves its stats out.']],
  ['not running', [request(INBOUND, 'continued', 9), served('ingress', 100)],
    ['bad', 'Envoy served 100 requests, and Tracewarden saw 9. Its filter was not loaded, or it failed and Envoy '
      + 'continues without it. Look for “wasm” in Envoy’s log.']],
  ['half of the workers go on without it', [request(INBOUND, 'continued', 50), served('ingress', 100)],
    ['bad', '50 % of Envoy’s requests passed without Tracewarden: the filter failed in some workers (look for “wasm” in '
      + 'Envoy’s log), a listener has none, or connections are older than it.']],
  ['one in twenty is under way', [request(INBOUND, 'continued', 95), served('ingress', 100)],
    ['good', 'Every expected trace context arrived intact']],
  ['switched off', [request(INBOUND, 'continued', 9), served('ingress', 100), ENABLED(0)],
    ['good', 'Every expected trace context arrived intact']],
  ['switched on', [request(INBOUND, 'continued', 95), served('ingress', 100), ENABLED(1)],
    ['good', 'Every expected trace context arrived intact']],
  ['torn, proved', [WELL, request(OUTBOUND, 'unlinked', 4), ...weighed('unlinked', 4, 0, 0)],
    ['bad', 'This workload’s application tears the trace in 100 % of its requests: proved by x-request-id.']],
  ['torn, suspected', [WELL, request(OUTBOUND, 'unlinked', 4), ...weighed('unlinked', 1, 2, 1)],
    ['bad', 'This workload’s application probably tears the trace in 75 % of its requests, or runs jobs while it serves '
      + 'others.']],
  ['traces of jobs', [WELL, request(OUTBOUND, 'unlinked', 4), ...weighed('unlinked', 0, 1, 3)],
    ['none', 'This workload’s application starts a trace of its own in 100 % of its requests. They may be jobs, whose traces '
      + 'begin here.']],
  ['lost, proved', [WELL, request(OUTBOUND, 'lost', 4), ...weighed('lost', 1, 3, 0)],
    ['bad', 'This workload’s application forgets the trace context in 100 % of its requests.']],
  ['lost, suspected', [WELL, request(OUTBOUND, 'lost', 4), ...weighed('lost', 0, 4, 0)],
    ['bad', 'This workload’s application forgets the trace context in 100 % of its requests, or runs jobs meanwhile.']],
  ['lost by jobs, while it serves', [WELL, request(OUTBOUND, 'lost', 4), ...weighed('lost', 0, 0, 4)], ['none', JOBS]],
  ['readings are no requests', [request(INBOUND, 'continued', 9), served('admin', 1000), served('trace_health', 1000)],
    ['good', 'Every expected trace context arrived intact']],
  ['bypassed', [WELL, stat('bypassed_total', {}, 7), served('ingress', 100000)],
    ['bad', 'A configuration is refused: 7 requests passed the filter untouched. Envoy’s log names the field to fix '
      + 'after “configuration refused”.']],
  ['host errors', [WELL, stat('host_errors_total', { call: 'get_property' }, 1)],
    ['bad', 'Envoy refused the filter’s call get_property once. Its log has the first.']],
  ['spans', [WELL, stat('spans_recorded_total', {}, 200), stat('spans_dropped_total', { cause: 'gave_up' }, 3)],
    ['bad', '1.5 % of the spans did not arrive at the collector.']],
];
for (const [name, stats, wanted] of FINDINGS) {
  test(`finding: ${name}`, TIMEOUT, async () => {
    const { page, close } = await open(stats);
    assert.deepEqual(await finding(page), wanted);
    await close();
  });
}

test('a filter that has died is not hidden by what it did before', TIMEOUT, async () => {
  const before = [request(INBOUND, 'continued', 100000), served('ingress', 100000)];
  const { page, says, current, close } = await open(before);
  await says('#finding h2', /^Every expected trace context arrived intact$/);
  current.stats = [request(INBOUND, 'continued', 100000), served('ingress', 100009)];
  await says('#live', /^Live/);
  const readings = current.readings;
  await until(() => current.readings > readings + 1);
  assert.deepEqual(await finding(page), ['good', 'Every expected trace context arrived intact']);

  current.stats = [request(INBOUND, 'continued', 100001), served('ingress', 100040)];
  const dead = 'Envoy served 40 requests, and Tracewarden saw 1. Its filter was not loaded, or it failed and Envoy '
    + 'continues without it. Look for “wasm” in Envoy’s log.';
  await says('#finding h2', /Tracewarden saw 1\./);
  await says('#finding h2', /in the last \d+ seconds$/);
  assert.deepEqual(await finding(page), ['bad', dead]);
  await close();
});

test('words of a later filter spoil nothing', TIMEOUT, async () => {
  const { page, close } = await open([WELL, request(INBOUND, 'invented', 5), stat('repairs_total', { by: 'invented' }, 2),
    corrupt({ direction: 'inbound' }, 'traceparent', 'invented', 1)]);
  assert.deepEqual(await finding(page), ['good', 'Every expected trace context arrived intact']);
  await unfold(page);
  assert.deepEqual(await rows(page, '#healthy'), [['inbound', '1,000', '0', '0', '0']]);
  assert.deepEqual(await rows(page, '#causes'), [['traceparent: invented invented, at inbound', '1']]);
  assert.match(await shown(page, '#rest'), /Repairs invented 2/);
  await close();
});

test('a screen reader hears when the state changes, not when a number does', TIMEOUT, async () => {
  const loses = (lost) => [request(INBOUND, 'continued', 50), request(INBOUND, 'lost', lost)];
  const { page, says, current, close } = await open(loses(10));
  await says('#announcer', /^This workload receives 16\.7\s% of its requests without/);
  await page.evaluate(() => {
    window.spoken = 0;
    new MutationObserver(() => { window.spoken += 1; }).observe(document.getElementById('announcer'), { childList: true });
  });
  const spoken = () => page.evaluate(() => window.spoken);
  current.stats = loses(50);
  // Forty that came lately, and all of them lost.
  await says('#finding', /receives 100\s%/);
  assert.equal(await spoken(), 0);
  current.stats = [...loses(50), request(INBOUND, 'corrupt', 20)];
  await says('#announcer', /a corrupt trace context/);
  assert.equal(await spoken(), 1);
  await close();
});

test('whose fault it is, and what to do', TIMEOUT, async () => {
  const { page, close } = await open([
    request({ listener: 'in', ...INBOUND }, 'lost', 9), request({ listener: 'in', ...INBOUND }, 'continued', 1),
    request({ listener: 'out', ...OUTBOUND }, 'lost', 8), request({ listener: 'out', ...OUTBOUND }, 'unlinked', 2),
    request({ listener: 'auto', ...INBOUND, direction: 'unspecified' }, 'corrupt', 7),
  ]);
  const told = await page.locator('#listeners tbody').evaluateAll((all) => all.map((body) => body.innerText));
  const of = (listener) => told.find((text) => text.startsWith(listener));
  assert.match(of('in'), /fault: The callers’.*Fix what is lost: Instrument the callers/s);
  assert.match(of('out'), /own application\..*forward traceparent.*unlinked: Instrument the server side/s);
  assert.match(of('auto'), /state the filter’s direction.*See the reasons below/s);
  await close();
});

test('an Envoy that receives no request may be a gateway', TIMEOUT, async () => {
  const { page, says, current, close } = await open([request(OUTBOUND, 'lost', 8), request(INBOUND, 'lost', 0)]);
  await says('#listeners', /own application, its jobs and timers, or the callers behind a gateway: no request came in/);
  current.stats = [request(OUTBOUND, 'lost', 8), request(INBOUND, 'lost', 1)];
  await says('#listeners', /own application, or its jobs and timers: hardly any traced request came in meanwhile\./);
  current.stats = [request(OUTBOUND, 'lost', 8), request(INBOUND, 'continued', 1)];
  await says('#listeners', /own application\.\s/);
  // It has had requests, though none lately.
  current.stats = [request(OUTBOUND, 'lost', 9), request(INBOUND, 'continued', 1)];
  await page.evaluate(() => { past.intervals = []; });
  await page.getByRole('button', { name: '1 minute' }).click();
  await says('#listeners', /own application, or its jobs and timers/);
  await close();
});

test('the other counters of the filter', TIMEOUT, async () => {
  const quantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];
  const pass = (name, median, high) => ({ name: `wasmcustom.pass=.=${name};.;tracewarden_pass_duration_ns`,
    values: quantiles.map((quantile) => ({ cumulative: quantile === 99 ? high : median, interval: null })) });
  const { page, close } = await open([
    WELL,
    stat('repairs_total', { direction: 'inbound', by: 'format' }, 4), stat('repairs_total', { direction: 'inbound', by: 'new' }, 3),
    stat('sampled_total', { decision: 'record', by: 'rule' }, 1), stat('sampled_total', { decision: 'drop', by: 'rate_limit' }, 1),
    stat('sampled_total', { listener: 'another', decision: 'drop', by: 'rate_limit' }, 2),
    stat('sampled_total', { decision: 'record', by: 'error' }, 40),
    stat('responses_total', { context: 'absent' }, 50), stat('responses_total', { context: 'match' }, 9),
    stat('responses_total', { context: 'mismatch' }, 1),
    stat('formats_total', { format: 'b3' }, 12), stat('conflicts_total', { used: 'b3', other: 'tracecontext' }, 1),
    stat('conflicts_total', { listener: 'another', used: 'b3', other: 'tracecontext' }, 1),
    stat('spans_recorded_total', {}, 1000), stat('spans_exported_total', {}, 990),
    stat('spans_dropped_total', { cause: 'refused' }, 5), stat('export_queue_spans', {}, 5),
    stat('baggage_limited_total', {}, 6), stat('build_info', { version: '1.2.3', revision: '0123456789abcdef' }, 1),
    { histograms: { supported_quantiles: quantiles,
      computed_quantiles: [pass('request', 21000, 301000), pass('response', null, null)] } },
  ]);
  assert.equal((await tiles(page)).Repaired.sentence, '4 kept their trace');
  const rest = await shown(page, '#rest');
  for (const part of [
    'Repairs taken from another format 4 new trace 3',
    'Sampling 25 % of 4 requests are sampled. sampled by a rule 1 not sampled over the rate limit 3 recorded late because it failed 40',
    'same trace 9 another trace 1', '10 % do not name the trace of their request',
    'b3 12', 'b3 and tracecontext named different traces 2 times; b3 was used.',
    'recorded 1,000 exported 990 waiting now 5 dropped: refused for good 5', "Correct export's path and protocol",
    'The baggage of 6 requests', 'A pass of a request takes 21 µs, one in a hundred more than 301 µs',
  ]) assert.ok(rest.includes(part), `${part} in ${rest}`);
  assert.ok(!rest.includes('A pass of a response'), rest);
  assert.equal(await page.locator('#rest .bad', { hasText: '301 µs' }).count(), 1);
  assert.match(await shown(page, '#about'), /^Tracewarden 1\.2\.3 \(0123456789ab\)\./);
  await close();
});

test('names are text, and long ones and large numbers fit a phone', TIMEOUT, async () => {
  const listener = `<img src=x onerror=alert(1)>${'long_'.repeat(20)}`;
  const { page, close } = await open([
    request({ listener, ...INBOUND }, 'continued', 123456789), request({ listener, ...OUTBOUND }, 'lost', 987654321),
    request({ listener, ...OUTBOUND }, 'corrupt', 987654321), request({ listener, ...OUTBOUND }, 'unlinked', 987654321),
    corrupt({ listener, direction: 'outbound' }, 'x-datadog-trace-id', 'sampled', 987654321),
    stat('host_errors_total', { call: 'get_current_time_nanoseconds' }, 987654321),
  ], { viewport: { width: 360, height: 740 }, isMobile: true });
  assert.equal(await page.locator('img').count(), 0);
  assert.ok((await shown(page, '#finding')).includes(listener));
  assert.equal((await rows(page, '#listeners > table'))[0][2], '987.7M 33.3 %');
  assert.deepEqual(await overflowing(page), []);
  await close();
});

test('a loss that began just now is not hidden by a month without one, and one that is over is said to be', TIMEOUT, async () => {
  const well = (value) => request({ listener: 'pay', ...INBOUND }, 'continued', value);
  const lost = (value) => request({ listener: 'pay', ...INBOUND }, 'lost', value);
  const { page, says, current, close } = await open([well(10_000_000)]);
  await says('#finding h2', /^Every expected/);
  current.stats = [well(10_000_000), lost(9)];
  await says('#finding h2', /^pay receives 100\s% .* in the last \d+ seconds?$/);
  assert.equal((await finding(page))[0], 'bad');
  assert.equal((await tiles(page)).Lost.figure, '<0.1 %');
  // Where the sentence leads to there are the cause and the command, though the share since the start is none.
  await page.locator('#finding a').click();
  const named = page.locator('#listeners .place[data-chosen]');
  assert.match(await named.innerText(), /^pay\s.*Of 9 requests in the last \d+ seconds?: 9 lost\..*Whose fault: .*"trace_context":"lost"/s);
  assert.equal(await page.locator('#fold').isHidden(), true);

  await page.reload();
  await says('#finding h2', /^Almost every/);
  current.stats = [well(9), lost(9)];
  await page.reload();
  await says('#finding h2', /^pay receives 50\s% .* since Envoy started$/);
  assert.equal((await finding(page))[0], 'bad');
  current.stats = [well(500), lost(9), request({ listener: 'other', ...INBOUND }, 'continued', 5)];
  await says('#finding h2', /^Almost every/);
  current.stats = [well(500), lost(500)];
  await page.reload();
  await says('#finding h2', /^pay receives 50\s%/);
  current.stats = [well(520), lost(500)];
  await says('#finding h2', /^Nothing is wrong in the last \d+ seconds?$/);
  assert.equal((await finding(page))[0], 'past');
  await says('#finding', /Over: pay receives 49\s% of its requests without .* since Envoy started, and not in the last/);
  await close();
});

const many = (number, lost) => Array.from({ length: number }, (_, at) => ({ listener: `service-${at}_outbound`, ...OUTBOUND }))
  .flatMap((labels, at) => [...Object.keys({ continued: 0, unlinked: 0, excluded: 0, started: 0, untrusted: 0 })
    .map((context) => request(labels, context, context === 'continued' ? 1000 : 0)), request(labels, 'lost', lost(at)),
    request({ ...labels, direction: 'inbound' }, 'continued', 500),
    corrupt(labels, 'traceparent', 'upper_case', at % 7), stat('repairs_total', { ...labels, by: 'new' }, lost(at))]);

test('of 600 listeners the banner names five, and the first are explained', TIMEOUT, async () => {
  const { page, close } = await open(many(600, (at) => (at < 300 ? 100 + at : 0)));
  const [state, ...lines] = await finding(page);
  assert.equal(state, 'bad');
  assert.equal(lines.length, 6, lines.join('\n'));
  assert.match(lines[0], /^service-299_outbound forgets the trace context in /);
  assert.equal(lines[5], 'and 295 more: where context is lost');
  assert.ok((await page.locator('#finding').boundingBox()).height < 420);
  assert.equal(await page.locator('#listeners details[open]').count(), 5);
  assert.equal(await page.locator('#listeners tbody').count(), 300);
  assert.equal(await page.locator('#folded').innerText(), '900 healthy listeners');
  assert.equal(await page.locator('#healthy tr').count(), 0);
  assert.match(await shown(page, '#causes'), /at( service-\d+_outbound,?){5} and \d+ more/);
  assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 12_000);
  await close();
});

test('a reading of 600 listeners costs at most 45 times what one of 20 costs', TIMEOUT, async (t) => {
  const costs = async (number) => {
    const { page, close } = await open(many(number, (at) => (at % 2 === 0 ? 100 + at : 0)));
    await page.getByRole('button', { name: 'Pause' }).click();
    await unfold(page);
    // Other programs share the machine: so both are timed for about as long, and the least of several counts. Each reading has
    // other numbers, so nothing is left as it was.
    const least = await page.evaluate((readings) => {
      let best = Infinity;
      for (let round = 0; round < 8; round += 1) {
        const begin = performance.now();
        for (let reading = 0; reading < readings; reading += 1) {
          past.record(new Map([...past.last.values].map(([name, value]) => [name, value + 1])), [], past.last.time + 3000);
          render();
          document.body.getBoundingClientRect();
        }
        best = Math.min(best, (performance.now() - begin) / readings);
      }
      return best;
    }, 600 / number);
    await close();
    return least;
  };
  const [few, all] = [await costs(20), await costs(600)];
  t.diagnostic(`20 listeners: ${few.toFixed(1)} ms, 600 listeners: ${all.toFixed(1)} ms, ${(all / few).toFixed(1)} times`);
  assert.ok(all <= 45 * few, `${all} ms for 600 listeners, ${few} ms for 20`);
});

test('a name can be looked for and addressed', TIMEOUT, async () => {
  const { page, says, close } = await open(many(30, (at) => (at < 8 ? 900 : 0)));
  const filter = page.getByLabel('Filter listeners by name');
  await filter.fill('Service-2');
  await says('#listeners', /service-2_outbound/);
  assert.equal(await page.locator('#listeners tbody').count(), 1);
  assert.equal(await page.locator('#healthy tbody tr').count(), 21);
  await filter.fill('nowhere');
  await says('#listeners', /No listener has “nowhere” in its name/);
  await page.keyboard.press('Escape');
  assert.equal(await filter.inputValue(), '');
  assert.equal(await page.locator('#listeners tbody').count(), 8);

  const inView = (name) => page.waitForFunction((key) => {
    const found = document.querySelector(`.place[data-key="${key}"][data-chosen]`)?.getBoundingClientRect();
    return found && found.top >= 0 && found.top < innerHeight;
  }, name);
  await page.goto(`${mesh.url}#service-7_outbound-outbound-enforce`);
  await inView('service-7_outbound-outbound-enforce');
  assert.equal(await page.locator('.place[data-chosen] details[open]').count(), 1);
  await page.goto(`${mesh.url}#service-29_outbound-outbound-enforce`);
  await inView('service-29_outbound-outbound-enforce');
  // A link leads to its listener as often as it is followed, whatever the reader closed, filtered or scrolled to.
  const to = page.locator('#finding a').first();
  await page.evaluate((at) => { location.hash = at; }, decodeURIComponent((await to.getAttribute('href')).slice(1)));
  const details = page.locator('.place[data-chosen] details');
  await details.locator('summary').click();
  assert.equal(await details.evaluate((one) => one.open), false);
  await filter.fill('nowhere');
  await page.evaluate(() => scrollTo(0, 0));
  await to.click();
  await page.waitForFunction(() => {
    const found = document.querySelector('.place[data-chosen]')?.getBoundingClientRect();
    return found && found.top >= 0 && found.top < innerHeight;
  });
  assert.equal(await details.evaluate((one) => one.open), true);
  assert.equal(await filter.inputValue(), '');
  await page.goto(`${mesh.url}#%ff`);
  await says('#live', /^Live/);
  await close();
});

test('what is wrong can be copied as text, also where the clipboard is refused', TIMEOUT, async () => {
  const stats = [request({ listener: 'pay', ...INBOUND }, 'lost', 9), request({ listener: 'pay', ...INBOUND }, 'continued', 1),
    request({ listener: 'shop', ...INBOUND }, 'continued', 4), corrupt({ direction: 'inbound' }, 'traceparent', 'flags', 2)];
  const allowed = await open(stats, { permissions: ['clipboard-read', 'clipboard-write'] });
  await allowed.page.getByRole('button', { name: 'Copy as text' }).click();
  await allowed.says('#copy', /^Copied$/);
  const text = await allowed.page.evaluate(() => navigator.clipboard.readText());
  assert.match(text, /^Trace health of 127\.0\.0\.1:\d+ at \d{4}-.*Z\n/);
  assert.match(text, /\n- pay receives 90\s% of its requests without a trace context: its callers lose it\. \(since Envoy started\)\n/);
  assert.match(text, /\nlistener\tdirection\texpected\tlost\tcorrupt\tunlinked\npay\tinbound\t10\t9\t0\t0\n1 listener lost and corrupted nothing\./);
  assert.match(text, /\nflags: 2 times\n$/);
  await allowed.close();

  const { page, close } = await open(stats);
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); });
  await page.getByRole('button', { name: 'Copy as text' }).click();
  const field = page.getByLabel('What is wrong, as text');
  await field.waitFor();
  const selected = await field.evaluate((one) => one.value.slice(one.selectionStart, one.selectionEnd));
  assert.match(selected, /^Trace health of .*pay receives 90/s);
  await close();
});

test('a reading does not disturb the reader', TIMEOUT, async () => {
  const stats = (more) => many(40, (at) => (at < 20 ? 300 - at + more : 0));
  const { page, current, close } = await open(stats(0));
  const summary = page.locator('[data-key="advice service-9_outbound-outbound-enforce"] summary');
  await summary.click();
  await page.locator('[data-key="advice service-2_outbound-outbound-enforce"] summary').click();
  await summary.focus();
  await page.evaluate(() => {
    const [paragraph] = document.querySelectorAll('[data-key="advice service-9_outbound-outbound-enforce"] p');
    getSelection().selectAllChildren(paragraph);
  });
  // What is above may grow: the reader's line stays where it is on the screen.
  const state = () => page.evaluate(() => [Math.round(document.activeElement.getBoundingClientRect().top),
    document.activeElement.parentElement.dataset.key, document.querySelectorAll('#listeners details[open]').length,
    getSelection().toString().slice(0, 12)]);
  const before = await state();
  const readings = current.readings;
  current.stats = stats(5);
  await until(() => current.readings > readings + 1);
  assert.deepEqual(await state(), before);
  assert.deepEqual(before.slice(1), ['advice service-9_outbound-outbound-enforce', 5, 'Whose fault:']);
  await close();
});

test('an answer that is none is an outage, too', TIMEOUT, async () => {
  const { page, says, current, close } = await open([WELL], { quiet: true });
  current.status = 503;
  await says('#outage', /Its stats are answered with status 503\./);
  current.status = 200;
  current.stats = undefined;
  await says('#outage', /Its answer has no stats\./);
  current.stats = [WELL];
  await page.locator('#outage').waitFor({ state: 'hidden' });
  await close();
});

test('it reads nothing while it is paused or hidden', TIMEOUT, async () => {
  const { page, says, current, close } = await open([WELL]);
  const rests = async () => {
    const readings = current.readings;
    await new Promise((resolve) => { setTimeout(resolve, 4_000); });
    assert.ok(current.readings <= readings + 1, 'one may be under way');
  };
  await page.getByRole('button', { name: 'Pause' }).click();
  await says('#live', /^Paused, read at/);
  await rests();
  let readings = current.readings;
  await page.getByRole('button', { name: 'Resume' }).click();
  await says('#live', /^Live/);
  await until(() => current.readings > readings);

  const hide = (hidden) => page.evaluate((is) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await hide(true);
  await rests();
  readings = current.readings;
  await hide(false);
  await until(() => current.readings > readings);
  await close();
});

async function until(holds) {
  for (const end = Date.now() + 10_000; !holds();) {
    assert.ok(Date.now() < end, String(holds));
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

test('what it remembers: periods, a gap, a restart, and no more than it must', TIMEOUT, async () => {
  const { page, close } = await open([]);
  const told = await page.evaluate(() => {
    const past = new History(), name = 'wasmcustom.context=.=lost;.;tracewarden_requests_total';
    const read = (value, seconds) => past.record(new Map([[name, value]]), [], seconds * 1000);
    const sum = (period) => past.in(period)?.sum('tracewarden_requests_total') ?? null;
    const [start, five, one] = PERIODS;
    const told = {};
    read(100, 0);
    told.first = [sum(start), sum(five), sum(one)];
    for (let second = 3; second <= 600; second += 3) read(100 + second, second);
    told.steady = [sum(start), sum(five), sum(one)];
    read(1000, 1200);
    told.gap = [sum(start), sum(five), sum(one)];
    read(1007, 1203);
    told.after = [sum(start), sum(five), sum(one)];
    read(4, 1206);
    told.restart = [sum(start), sum(five), sum(one), past.restarted];
    for (let second = 1209; second <= 86400; second += 3) read(second, second);
    told.day = [past.intervals.length <= LONGEST_HISTORY + 1, past.intervals[0].from, sum(five), sum(one)];
    told.kept = past.intervals.reduce((all, { gains }) => all + (gains.get(name) ?? 0), 0);
    const other = new History(), reading = (uptime, seconds) =>
      other.record(new Map([['server.uptime', uptime], [name, 100 + seconds]]), [], seconds * 1000);
    reading(9, 0);
    reading(12, 3);
    told.up = [other.in(five).sum('tracewarden_requests_total'), other.restarted ?? null];
    reading(1, 6);
    told.uptimeFell = [other.in(five).sum('tracewarden_requests_total'), other.restarted];
    told.joined = past.intervals.every(({ from }, at) => at === 0 || from === past.intervals[at - 1].to);
    return told;
  });
  // In order: since the start, five minutes, one minute.
  assert.deepEqual(told, {
    first: [100, null, null],
    steady: [700, 300, 60],
    gap: [1000, null, null],
    after: [1007, 7, 7],
    restart: [4, 11, 11, 1206_000],
    day: [true, 0, 300, 60],
    up: [3, null],
    uptimeFell: [3 + 106, 6000],
    kept: 907 + 4 + (86400 - 4),
    joined: true,
  });
  await close();
});
