// The demo mesh and the browser that look at each other, for as long as the tests of a file run.

import { after, before } from 'node:test';

import { launch } from './chromium.js';
import { Mesh } from './mesh.js';

export let mesh, chromium;
before(async () => {
  chromium = await launch();
  mesh = await Mesh.start();
}, { timeout: 180_000 });
after(async () => {
  await chromium?.close();
  await mesh?.stop();
}, { timeout: 60_000 });
