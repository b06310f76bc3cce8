/** Calls a function of a test before this process reads a file, until the test ends. What it throws, the reader gets. */
import fs, { readFileSync, type StatSyncOptions, statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

export function beforeReads(t: TestContext, before: (path: string) => void): void {
  const read = readFileSync;
  mockUntilEnd(t, 'readFileSync', (path: string, encoding: BufferEncoding) => {
    before(path);
    return read(path, encoding);
  });
}

/** The same for a look at what a file is. */
export function beforeStats(t: TestContext, before: (path: string) => void): void {
  const stat = statSync;
  mockUntilEnd(t, 'statSync', (path: string, options?: StatSyncOptions) => {
    before(path);
    return stat(path, options);
  });
}

function mockUntilEnd(
  t: TestContext,
  name: 'readFileSync' | 'statSync',
  instead: (...args: never[]) => unknown,
) {
  const mocked = t.mock.method(fs, name, instead as never);
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}
