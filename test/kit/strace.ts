/** strace, installed if the machine allows it. */
import { existsSync } from 'node:fs';
import { installProblem } from './debian.ts';

/** Why strace cannot be used, or undefined. */
export function straceProblem(): string | undefined {
  return installProblem(() => existsSync('/usr/bin/strace'), 'strace');
}
