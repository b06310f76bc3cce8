/**
 * The entry of the relay, for `mailrelay relay` in a pod and `mailrelay run` on a laptop. Starting rejects with one
 * sentence when the relay cannot serve at all (a port in use, a state folder that is not writable or belongs to a living
 * relay, no policy and no last good one); after that nothing throws, and what goes wrong is in the status.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { Spool } from '../spool/spool.ts';
import { takeOwnership } from '../task/owner.ts';
import type { Relay, RelayOptions } from './options.ts';
import { Supervisor } from './supervisor.ts';

export type { Relay } from './options.ts';

/** Rejects with one sentence when the relay cannot start at all. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  // The queue is mail of others, and the folder that holds it may be open to everybody. Tasks inherit this.
  process.umask(0o077);
  prepareStateDir(options.stateDir);
  const ownership = takeOwnership(options.stateDir);
  try {
    await recoverSpool(options);
    const supervisor = new Supervisor(options, () => ownership.release());
    await supervisor.start();
    return supervisor;
  } catch (error) {
    ownership.release();
    throw error;
  }
}

function prepareStateDir(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    accessSync(stateDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `Cannot write to the state folder "${stateDir}" (${code}): make it writable, or choose another`,
    );
  }
}

/** Nobody writes yet, so what a crash left half-way can go. */
async function recoverSpool({ stateDir, log }: RelayOptions): Promise<void> {
  const spool = new Spool(stateDir, undefined, 'late', {
    isStart: true,
    onRecovered: (recovered) => log('spool_recovered', { ...recovered }),
  });
  spool.sweep();
  await spool.restore();
  await spool.close();
}
