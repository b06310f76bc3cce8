/**
 * The child processes of a test file. Each ends with the process of the file at the latest: a test that failed, or was
 * out of time, leaves none behind.
 */
import type { ChildProcess } from 'node:child_process';

const living = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});
// The test runner ends a file that is out of time by this signal.
process.once('SIGTERM', () => process.exit(1));

export function endWithFile<Child extends ChildProcess>(child: Child): Child {
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** More than a relay takes that drains, gives up and kills its tasks. */
const END_MS = 90_000;

/**
 * Resolves with the exit status. A process that should end and does not is killed, and this rejects: a hook of the
 * runner has no time limit of its own.
 */
export function waitForEnd(child: ChildProcess, name: string): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${name} did not end within ${END_MS / 1000} s`));
    }, END_MS);
    child.once('exit', (status) => {
      clearTimeout(timer);
      resolve(status);
    });
  });
}
