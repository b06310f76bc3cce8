/**
 * Small files beside the queue that a restarted relay reads again: the last policy in force, which clients sent in
 * plain text, and how deliveries were protected. They are written atomically. A failed write is logged and changes nothing.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { POLICY_FORMAT } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';

const KEPT = {
  lastGood: `last-good.policy.v${POLICY_FORMAT}.json`,
  plaintext: 'plaintext.json',
  outbound: 'outbound.json',
} as const;

type Kept = keyof typeof KEPT;

export function readKept(stateDir: string, what: Kept): string | undefined {
  try {
    return readFileSync(join(stateDir, KEPT[what]), 'utf8');
  } catch {
    return undefined;
  }
}

export function keep(stateDir: string, log: Log, what: Kept, text: string): void {
  try {
    writeKept(stateDir, what, text);
  } catch (error) {
    log('not_kept', { what, message: (error as Error).message });
  }
}

function writeKept(stateDir: string, what: Kept, text: string): void {
  const path = join(stateDir, KEPT[what]);
  // A write of its own may end early on a disk that is nearly full, without an error.
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
