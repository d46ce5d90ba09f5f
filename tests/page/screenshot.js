// Takes the pictures of the page that the documents show: the demo mesh after a minute of requests.
//   node screenshot.js FONTS DIRECTORY

import { join, resolve } from 'node:path';
import { argv } from 'node:process';

import { launch } from './chromium.js';
import { Mesh } from './mesh.js';
import { visit } from './visit.js';

const SECONDS = 66;
const VIEW = { viewport: { width: 1120, height: 1180 } };

const [fonts, directory] = argv.slice(2).map((path) => resolve(path));
const mesh = await Mesh.start();
try {
  const chromium = await launch([fonts]);
  try {
    const visits = new Map();
    for (const [name, colorScheme] of [['trace-health.png', 'light'], ['trace-health-dark.png', 'dark']]) {
      visits.set(name, await visit(chromium.browser, mesh.url, { ...VIEW, colorScheme }));
    }
    const end = Date.now() + SECONDS * 1000;
    for (let step = 0; Date.now() < end; step += 1) {
      await mesh.traffic(2 + Math.round(Math.sin(step / 20)), ['checkout']);
      await mesh.traffic(1 + Math.round(Math.sin(step / 45)), ['lossy']);
      if (step % 3 === 0) await mesh.traffic(1, ['mangler']);
      await new Promise((wake) => { setTimeout(wake, 200); });
    }
    for (const [name, { page, close }] of visits) {
      await page.screenshot({ path: join(directory, name) });
      await close();
    }
  } finally {
    await chromium.close();
  }
} finally {
  await mesh.stop();
}
