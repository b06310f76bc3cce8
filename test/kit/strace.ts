/** strace, installed if the machine allows it. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Why strace cannot be used, or undefined. */
export function straceProblem(): string | undefined {
  if (existsSync('/usr/bin/strace')) return undefined;
  if (process.getuid?.() !== 0) return 'strace is not installed';
  process.stderr.write('installing strace\n');
  execFileSync('apt-get', ['install', '-y', '-qq', 'strace'], { stdio: 'ignore' });
  return undefined;
}
