/**
 * The last policy that was in force, kept beside the queue, so that a relay that restarts has one even when the mounted
 * file is gone or broken. Written atomically; a failure to write is reported by the caller and changes nothing.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { POLICY_FORMAT } from '#crds/policyfile.ts';

const NAME = `last-good.policy.v${POLICY_FORMAT}.json`;

export function readLastGood(stateDir: string): string | undefined {
  try {
    return readFileSync(join(stateDir, NAME), 'utf8');
  } catch {
    return undefined;
  }
}

export function writeLastGood(stateDir: string, text: string): void {
  const path = join(stateDir, NAME);
  const file = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
}
