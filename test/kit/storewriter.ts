/** A process of its own that writes into the store of a test, with a library before its disk (diskshim.ts). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { endWithFile, waitForEnd } from './child.ts';
import type { DiskShim, ProcessKind } from './diskshim.ts';

const WRITER = new URL('../crash/programs/writer.ts', import.meta.url).pathname;

/** The library knows its kind by its arguments. */
export function storeWriter(shim: DiskShim, kind: ProcessKind, how = '') {
  const child = endWithFile(
    spawn(process.execPath, [WRITER, shim.stateDir, how, `${kind}/main.ts`], {
      env: { ...process.env, ...shim.env() },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const lines = createInterface(child.stdout);
  return {
    /** An id, and the size of its body if it matters. Resolves with what the process says, or with "null" when it was killed. */
    enter: async (id: string): Promise<string> => {
      const answer = Promise.race([once(lines, 'line'), once(child, 'exit')]);
      child.stdin.write(`${id}\n`);
      return String((await answer)[0]);
    },
    end: () => {
      child.stdin.end();
      return waitForEnd(child, 'a writer');
    },
  };
}
