/** Calls a function of a test before this process reads a file, until the test ends. What it throws, the reader gets. */
import fs, { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

export function beforeReads(t: TestContext, before: (path: string) => void): void {
  const read = readFileSync;
  const mocked = t.mock.method(fs, 'readFileSync', (path: string, encoding: BufferEncoding) => {
    before(path);
    return read(path, encoding);
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}
