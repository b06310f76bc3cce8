/**
 * The entry of the relay, for `mailrelay relay` in a pod and `mailrelay run` on a laptop. The start rejects with one
 * sentence if the relay cannot serve: a port is in use, the state folder is not writable or belongs to a running relay,
 * or there is neither a policy nor a last good one. After the start nothing throws, and the status shows every problem.
 */
import { accessSync, constants } from 'node:fs';
import { describeSystemError } from '#crds/systemwords.ts';
import { Spool } from '../spool/spool.ts';
import { makeFolder } from '../task/folder.ts';
import { takeOwnership } from '../task/owner.ts';
import type { Relay, RelayOptions } from './options.ts';
import { Supervisor } from './supervisor.ts';

export type { Relay } from './options.ts';

/** Rejects with one sentence if the relay cannot start. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  // The queue contains private mail, and its folder may be readable by everybody. The tasks inherit this mask.
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
    makeFolder(stateDir);
    accessSync(stateDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(
      `Cannot write to the state folder "${stateDir}": ${describeSystemError(error)}; make it writable, or choose another`,
    );
  }
}

/** No process writes yet, so unfinished files of a crash can be removed. */
async function recoverSpool({ stateDir, log }: RelayOptions): Promise<void> {
  const spool = new Spool(stateDir, undefined, 'late', {
    isStart: true,
    onRecovered: (recovered) => log('spool_recovered', { ...recovered }),
  });
  spool.sweep();
  await spool.restore();
  await spool.close();
}
