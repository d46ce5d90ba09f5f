// Debian's Chromium, as `.venv/debian/chromium` has it unpacked, or the one that CHROMIUM names.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { inRepository } from './repository.js';

const UNPACKED = inRepository('.venv/debian/chromium');
const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** A browser, and a function that ends it. */
export async function launch(fonts = []) {
  const scratch = mkdtempSync(join(tmpdir(), 'tracewarden-chromium-'));
  const remove = () => rmSync(scratch, { recursive: true, force: true });
  try {
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM || join(UNPACKED, 'usr/lib/chromium/chromium'),
      args: QUIET,
      chromiumSandbox: false,
      timeout: 60_000,
      env: { ...process.env, HOME: scratch, FONTCONFIG_FILE: fontsConf(scratch, fonts), ...libraries() },
    });
    return { browser, close: () => browser.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Where the unpacked Chromium finds what it is linked with. */
function libraries() {
  if (process.env.CHROMIUM) return {};
  const directories = readdirSync(join(UNPACKED, 'usr/lib'))
    .filter((name) => name.endsWith('-linux-gnu'))
    .flatMap((name) => [name, `${name}/pulseaudio`])
    .map((name) => join(UNPACKED, 'usr/lib', name));
  return { LD_LIBRARY_PATH: directories.join(':') };
}

/** Debian puts no fonts beside the unpacked Chromium where the system has them, and no fontconfig where it has none. */
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
