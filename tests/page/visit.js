// A visit to the page, with an eye on what it must never do.

import assert from 'node:assert/strict';

/** Opens the page; `quiet` lets requests fail, where that is what a test is about. */
export async function visit(browser, url, options = {}, { stats, quiet = false } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (!quiet || !message.text().startsWith('Failed to load resource')) complaints.push(`console: ${message.text()}`);
  });
  page.on('requestfailed', (request) => {
    if (!quiet) complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('request', (request) => {
    const told = new URL(request.url());
    if (told.protocol !== 'data:' && told.origin !== new URL(url).origin) complaints.push(`foreign: ${request.url()}`);
  });
  if (stats) await page.route('**/stats', (route) => stats(route));
  await page.goto(url);
  return {
    page,
    /** Waits until what an element says is as wanted. */
    async says(selector, wanted) {
      const matches = ([at, source]) => new RegExp(source).test(document.querySelector(at)?.innerText ?? '');
      await page.waitForFunction(matches, [selector, wanted.source])
        .catch(async () => assert.match(await page.innerText(selector), wanted));
    },
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

/** What of the page reaches beyond the window's right edge, which a phone would make the window wider for. */
export const overflowing = (page) => page.locator('body *').evaluateAll((all, width) => all
  .filter((one) => one.getBoundingClientRect().right > width + 0.5).map((one) => one.outerHTML.slice(0, 80)),
page.viewportSize().width);

/** The rows of a table as the texts of their cells; the figures of one cell are apart by a space. */
export const rows = (page, selector) => page.locator(`${selector} tbody tr:not(.detail)`).evaluateAll((all) =>
  all.map((row) => [...row.cells].map((cell) => cell.innerText.trim().replace(/\s+/g, ' '))));

/** The tiles as `{Intact: {figure, sentence, recent}}`. */
export const tiles = (page) => page.locator('.tiles > div').evaluateAll((all) => Object.fromEntries(all.map((tile) => {
  const text = (selector) => tile.querySelector(selector).innerText.trim().replace(/\s+/g, ' ');
  return [text('dt'), { figure: text('.figure'), sentence: text('dd:nth-of-type(2)'), recent: text('.recent') }];
})));
