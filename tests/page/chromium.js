// Chromium, as `make page` leaves it in `.venv/bin`.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { inRepository } from './repository.js';

const UNPACKED = inRepository('.venv/unpacked/chromium');
const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** A browser, and a function that ends it. */
export async function launch(fonts = []) {
  const scratch = mkdtempSync(join(tmpdir(), 'tracewarden-chromium-'));
  const remove = () => rmSync(scratch, { recursive: true, force: true });
  try {
    const browser = await chromium.launch({
      executablePath: inRepository('.venv/bin/chromium'),
      args: QUIET,
      chromiumSandbox: false,
      timeout: 60_000,
      env: { ...process.env, HOME: scratch, FONTCONFIG_FILE: fontsConf(scratch, fonts) },
    });
    return { browser, close: () => browser.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The system's fonts and those that were unpacked with Chromium; the system may have none, and no fontconfig. */
function fontsConf(scratch, fonts) {
  const path = join(scratch, 'fonts.conf');
  const directories = ['/usr/share/fonts', join(UNPACKED, 'usr/share/fonts'), ...fonts];
  writeFileSync(path, `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
${directories.map((directory) => `  <dir>${directory}</dir>`).join('\n')}
  <cachedir>${join(scratch, 'fonts')}</cachedir>
</fontconfig>
`);
  return path;
}
