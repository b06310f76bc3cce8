/**
 * A real Chromium without a window, out of the Debian packages. It writes only into a folder of its own, and it looks up no
 * name and asks no host but the loopback.
 */
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { unpacked } from './debian.ts';

const PACKAGE = 'chromium-headless-shell';

/** The caller closes it. */
export function startBrowser(): Promise<Browser> {
  const root = unpacked(PACKAGE);
  const libraries = join(root, 'usr', 'lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  return chromium.launch({
    executablePath: join(root, 'usr', 'lib', 'chromium', PACKAGE),
    env: {
      PATH: process.env['PATH'] ?? '',
      LD_LIBRARY_PATH: `${libraries}:${join(libraries, 'pulseaudio')}`,
      // Times in the page, and their language, do not depend on the machine.
      TZ: 'UTC',
    },
    // The sandbox of Chromium needs rights that a container seldom has.
    args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
    timeout: 120_000,
  });
}
