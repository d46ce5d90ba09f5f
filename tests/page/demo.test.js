// The page as the demo mesh serves it, in a real browser.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { chromium, mesh } from './stage.js';
import { overflowing, rows, tiles, visit } from './visit.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TIMEOUT = { timeout: 120_000 };
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

const open = (options, more) => visit(chromium.browser, mesh.url, options, more);

/** Tracewarden's counts by what `key` makes of a series' labels, as Envoy reports them to Prometheus. */
async function counted(metric, key) {
  const text = await (await fetch(`http://127.0.0.1:${mesh.admin}/stats/prometheus?filter=tracewarden_`)).text();
  const sums = {};
  for (const [, labels, value] of text.matchAll(new RegExp(`^tracewarden_${metric}_total\\{(.*)\\} (\\d+)$`, 'gm'))) {
    const name = key(Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, is]) => [label, is])));
    sums[name] = (sums[name] ?? 0) + Number(value);
  }
  return sums;
}

const percent = (part, of) => `${Math.round(1000 * part / of) / 10} %`;

/** What the tiles must say, by what Envoy says elsewhere. */
async function expectedTiles() {
  const sums = await counted('requests', ({ role, context }) => `${role} ${context}`);
  const of = (context) => sums[`internal ${context}`] ?? 0;
  const due = of('continued') + of('lost') + of('corrupt') + of('unlinked');
  const repairs = await counted('repairs', () => 'all');
  return { Intact: percent(of('continued'), due), Lost: percent(of('lost'), due), Corrupt: percent(of('corrupt'), due),
    Repaired: String(repairs.all) };
}

const figures = async (page) =>
  Object.fromEntries(Object.entries(await tiles(page)).map(([name, { figure }]) => [name, figure]));

test('before any request it says which one to make', TIMEOUT, async () => {
  const { page, says, close } = await open();
  await says('#finding h2', /^No request yet$/);
  await says('#finding', new RegExp(`curl http://127\\.0\\.0\\.1:${mesh.edge}/lossy`));
  assert.equal((await tiles(page)).Intact.figure, '–');
  await says('#causes', /No header was corrupt/);
  await close();
});

test('it shows who loses, who corrupts and why, in Envoy’s numbers, and goes on without a reload', TIMEOUT, async () => {
  await mesh.traffic(3);
  const { page, says, close } = await open();
  await says('#finding h2', /^(lossy|mangler)_outbound /);
  await says('#finding', /lossy_outbound forgets the trace context in 100\s%\sof its requests\./);
  await says('#finding', /mangler_outbound corrupts the trace context in 100\s%\sof its requests\./);
  assert.deepEqual(await figures(page), await expectedTiles());
  assert.deepEqual(await figures(page), { Intact: '77.8 %', Lost: '11.1 %', Corrupt: '11.1 %', Repaired: '6' });
  assert.equal((await tiles(page)).Intact.sentence, '21 of 27 requests');

  const wrong = await rows(page, '#listeners > table');
  assert.deepEqual(wrong, [
    ['lossy_outbound outbound', '3', '3 100 %', '0', '0'],
    ['mangler_outbound outbound', '3', '0', '3 100 %', '0'],
  ]);
  await page.getByText('4 healthy listeners').click();
  await page.locator('#healthy table').waitFor();
  const listeners = [...wrong, ...await rows(page, '#healthy')];
  const due = await counted('requests', ({ role, listener }) => `${role} ${listener}`);
  const shown = Object.fromEntries(listeners.map(([name, count]) => [`internal ${name.split(' ')[0]}`, Number(count)]));
  delete due['internal edge'];
  assert.deepEqual({ ...shown, 'edge edge': 9 }, due);
  assert.deepEqual(await rows(page, '.edge'), [['edge inbound', '9']]);
  assert.deepEqual(await rows(page, '#causes'),
    [['traceparent: hexadecimal digits are in upper case upper_case, at mangler_outbound', '3']]);
  await says('#causes', /Usual cause: A client that writes hexadecimal digits in upper case\.\s+Fix: \w+/);
  await says('#rest', /given back by correlation\s+6\b/);

  await page.evaluate(() => { window.marked = 'this document'; });
  await mesh.traffic(2, ['lossy']);
  await says('#glance', /\b5 requests/);
  assert.deepEqual(await figures(page), await expectedTiles());
  assert.equal((await rows(page, '#listeners > table'))[0].join(), 'lossy_outbound outbound,5,5 100 %,0,0');
  assert.equal(await page.evaluate(() => window.marked), 'this document');

  // From the readings of this page alone: those five were counted before and after it was opened.
  await page.getByRole('button', { name: '1 minute' }).click();
  await says('#since', /^In the last minute, of which this page has watched \d+ seconds\.$/);
  const minute = await tiles(page);
  assert.equal(minute.Lost.figure, percent(2, 6));
  assert.equal(minute.Lost.recent, `since start ${(await expectedTiles()).Lost} 5 min ${percent(2, 6)}`);
  const counts = async (selector) => (await rows(page, selector)).map(([name, count]) => `${name} ${count}`);
  assert.deepEqual(await counts('#listeners > table'), ['lossy_outbound outbound 2']);
  assert.deepEqual(await counts('#healthy'), ['checkout_inbound inbound 2', 'lossy_inbound inbound 2']);
  assert.deepEqual(await rows(page, '#causes'), []);
  await close();
});

test('another site’s page cannot have the browser ask for stats', TIMEOUT, async () => {
  const image = `<img src="${mesh.url}stats">`;
  const site = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(image));
  await once(site.listen(0, '127.0.0.1'), 'listening');
  const context = await chromium.browser.newContext();
  try {
    const page = await context.newPage();
    const asked = page.waitForResponse(`${mesh.url}stats`, { timeout: 15_000 });
    await Promise.all([page.goto(`http://localhost:${site.address().port}/`), asked]);
    assert.equal((await asked).status(), 404);
  } finally {
    await context.close();
    site.closeAllConnections();
    site.close();
  }
});

test('the chart has a table that says the same', TIMEOUT, async () => {
  const { page, says, close } = await open();
  await says('#chart', /No request came since this page was opened/);
  await mesh.traffic(2);
  const chart = page.locator('#chart svg[role=img]');
  await chart.waitFor();
  await page.waitForFunction(() => /intact 14\b/.test(document.querySelector('#chart svg')?.getAttribute('aria-label')));
  assert.match(await chart.getAttribute('aria-label'), /In all: lost 2, corrupt 2, intact 14, started at the edge 6\./);
  assert.deepEqual(await page.locator('#legend li').allInnerTexts(), ['lost', 'corrupt', 'intact', 'started at the edge']);
  assert.equal(await chart.locator('path.area').count(), 4);

  await page.getByText('Verdicts over time as a table').click();
  const table = await rows(page, '#verdicts');
  const sums = [1, 2, 3, 4].map((column) => table.reduce((sum, row) => sum + Number(row[column]), 0));
  assert.deepEqual(sums, [2, 2, 14, 6]);
  assert.deepEqual(await page.locator('#verdicts thead th').allInnerTexts(),
    ['Time', 'lost', 'corrupt', 'intact', 'started at the edge']);
  await close();
});

test('it says when Envoy does not answer, keeps what it has, and recovers', TIMEOUT, async () => {
  const { page, says, close } = await open({}, { quiet: true });
  await says('#finding', /lossy_outbound forgets/);
  const before = await figures(page);
  await mesh.down();
  await says('#outage', /Envoy has not answered since \d\d:\d\d:\d\d\s+There is no connection\. This page asks again/);
  await says('#live', /^No answer$/);
  await says('#announcer', /^Envoy does not answer\.$/);
  assert.deepEqual(await figures(page), before);
  await mesh.up();
  await page.locator('#outage').waitFor({ state: 'hidden' });
  await says('#live', /^Live, read at/);
  await says('#announcer', /^Envoy answers again\. No request yet/);
  await says('#watched', /Envoy restarted before \d\d:\d\d:\d\d\./);
  await mesh.traffic(1);
  await says('#finding', /lossy_outbound forgets the trace context in 100\s%/);
  assert.deepEqual(await figures(page), { Intact: '77.8 %', Lost: '11.1 %', Corrupt: '11.1 %', Repaired: '2' });
  await close();
});

for (const [name, options] of [['light', {}], ['dark', { colorScheme: 'dark' }], ['phone', PHONE],
  ['phone in the dark', { ...PHONE, colorScheme: 'dark' }], ['forced colours', { forcedColors: 'active' }]]) {
  test(`accessible: ${name}`, TIMEOUT, async () => {
    const { page, says, close } = await open(options);
    await says('#finding', /lossy_outbound forgets/);
    await mesh.traffic(1);
    await page.locator('#chart svg').waitFor();
    await page.getByText('Verdicts over time as a table').click();
    await page.evaluate(AXE);
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const run = (values) => window.axe.run({ runOnly: { type: 'tag', values } });
    const { violations, passes } = await page.evaluate(run, tags);
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), []);
    assert.ok(options.forcedColors || passes.some(({ id }) => id === 'color-contrast'), 'contrast was looked at');
    assert.equal(await page.locator('th:not([scope]), table:not(:has(caption))').count(), 0);
    assert.deepEqual(await overflowing(page), []);
    await close();
  });
}

/** How much two colours differ, by WCAG. */
const CONTRAST = `(a, b) => {
  const channels = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255);
  const linear = (one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
  const weights = [0.2126, 0.7152, 0.0722];
  const luminance = (color) => channels(color).map(linear).reduce((sum, one, at) => sum + one * weights[at], 0);
  const [darker, lighter] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (lighter + 0.05) / (darker + 0.05);
}`;

test('dark is dark, and what charts are made of stands out in both', TIMEOUT, async () => {
  const backgrounds = [];
  for (const colorScheme of ['light', 'dark']) {
    const { page, says, close } = await open({ colorScheme });
    await says('#finding', /lossy_outbound forgets/);
    await mesh.traffic(1);
    await page.locator('.tick').first().waitFor();
    const { background, fills, tick } = await page.evaluate(`(() => {
      const contrast = ${CONTRAST};
      const background = getComputedStyle(document.body).backgroundColor;
      const card = getComputedStyle(document.getElementById('chart').closest('section')).backgroundColor;
      const probe = document.body.appendChild(document.createElement('i'));
      const color = (name) => {
        probe.style.color = 'var(--' + name + ')';
        return getComputedStyle(probe).color;
      };
      const fills = Object.keys(VERDICTS).map((verdict) => [verdict, contrast(color(verdict), card)]);
      return { background, fills, tick: contrast(getComputedStyle(document.querySelector('.tick')).fill, card) };
    })()`);
    backgrounds.push(background);
    for (const [verdict, contrast] of fills) assert.ok(contrast >= 3, `${verdict} in ${colorScheme}: ${contrast}`);
    assert.ok(tick >= 4.5, `the chart's words in ${colorScheme}: ${tick}`);
    await close();
  }
  const [light, dark] = backgrounds.map((color) => Number(/\d+/.exec(color)[0]));
  assert.ok(light > 200 && dark < 50, backgrounds.join(' '));
});

const ADVICE = 'Cause, fix and last traces';

test('the command that it names lists the last traces of a listener', TIMEOUT, async () => {
  const { page, says, close } = await open();
  await says('#finding', /lossy_outbound forgets/);
  for (const [listener, verdict] of [['lossy_outbound', 'lost'], ['mangler_outbound', 'corrupt']]) {
    const command = await page.locator(`[data-key="${listener}"] code`).innerText();
    const { stdout } = await promisify(execFile)('bash', ['-c', command], { cwd: mesh.logs, timeout: 20_000 });
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.ok(lines.length > 0 && lines.length <= 5, stdout);
    for (const line of lines) {
      assert.deepEqual([line.listener, line.trace_context], [listener, verdict]);
      assert.match(line.trace_id, /^[0-9a-f]{32}$/);
    }
  }
  await close();
});

test('a keyboard reaches everything, and shows where it is', TIMEOUT, async () => {
  const { page, says, close } = await open();
  await says('#finding', /lossy_outbound forgets/);
  const interactive = await page.locator('a[href], button, summary, input, select, [tabindex="0"]').count();
  const reached = [];
  for (let presses = 0; presses <= interactive; presses += 1) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate(`(() => {
      const element = document.activeElement;
      if (element === document.body) return null;
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
      const { top, bottom, width, height } = element.getBoundingClientRect();
      let behind = element;
      while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
      // A link in a sentence is as high as its line.
      const isInline = element.closest('.finding li, .finding h2') !== null;
      return { text: element.textContent || element.placeholder, isInline, outlineStyle, outline: parseFloat(outlineWidth),
        contrast: (${CONTRAST})(outlineColor, getComputedStyle(behind).backgroundColor),
        inView: top >= 0 && bottom <= innerHeight && width > 0, height };
    })()`);
    if (focus === null) break;
    const { outlineStyle, outline, contrast, inView, height, isInline } = focus;
    const isSeen = outlineStyle === 'solid' && outline >= 2 && contrast >= 3 && inView;
    assert.ok(isSeen && (height >= 24 || isInline), JSON.stringify(focus));
    reached.push(focus.text);
  }
  assert.deepEqual(reached,
    ['Skip to what is wrong', 'Pause', 'lossy_outbound', 'mangler_outbound', 'Copy as text', 'Since start', '5 minutes',
      '1 minute', 'Verdicts over time as a table', 'Filter by name', 'lossy_outbound', ADVICE, 'mangler_outbound', ADVICE,
      '4 healthy listeners', 'edge']);

  const pressed = () => page.locator('#period [aria-pressed=true]').innerText();
  assert.equal(await pressed(), 'Since start');
  await page.getByRole('button', { name: '5 minutes' }).focus();
  await page.keyboard.press('Space');
  assert.equal(await pressed(), '5 minutes');
  await page.getByText('Verdicts over time as a table').focus();
  await page.keyboard.press('Enter');
  await page.locator('#verdicts table').waitFor();
  await page.locator('.skip').focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await close();
});
