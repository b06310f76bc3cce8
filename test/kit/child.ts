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
