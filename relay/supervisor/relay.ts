/**
 * The servedPort of the relay, for `mailrelay relay` in a pod and `mailrelay run` on a laptop. Starting rejects with one
 * sentence when the relay cannot serve at all (a port in use, a state folder that is not writable or belongs to a living
 * relay, no policy and no last good one); after that nothing throws, and what goes wrong is in the status.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import type { Log } from '../observe/log.ts';
import { Spool } from '../spool/spool.ts';
import { takeOwnership } from '../task/owner.ts';
import type { AmongSiblings } from './evacuation.ts';
import { Supervisor } from './supervisor.ts';

export interface RelayOptions {
  /** Holds POLICY_FILE_NAME. */
  readonly policyDir: string;
  /** Holds tls.crt and tls.key; may be empty or missing. */
  readonly certificateDir: string;
  /** Each holds a folder for each Secret, or ConfigMap, that the policy names; may be missing. */
  readonly secretsDir: string;
  readonly configMapsDir: string;
  /** Holds the queue, the last good policy and the lock; made when missing. */
  readonly stateDir: string;
  /** Where listeners bind: "::" (falls back to "0.0.0.0" without IPv6), "127.0.0.1", ... */
  readonly address: string;
  readonly adminAddress: string;
  /** 0: any free port, told by `admin()`. */
  readonly adminPort: number;
  /** Listener processes; default: what the CPU limit is worth. */
  readonly processes?: number;
  /** In a pod of a StatefulSet: without it this relay neither leaves nor takes over. */
  readonly among?: AmongSiblings;
  readonly version: string;
  /** In a pod: who it says it is. */
  readonly identity?: PodIdentity;
  /** Told of each transition of policy, certificate and tasks, those of the start included. */
  readonly log: Log;
  /** File descriptor that takes the log lines of the tasks, which are processes of their own. */
  readonly logFd: number;
  /** How long new connections are still taken after `stop`, while others learn that this pod leaves. Default: 0. */
  readonly graceMs?: number;
  /** How long open sessions may go on after a change of policy, or a stop. Default: five minutes. */
  readonly drainMs?: number;
  /** How often files are looked at when nothing hints at a change. Default: two seconds. */
  readonly pollMs?: number;
}

export interface BoundAddress {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface Relay {
  /** True while every listener serves as the policy says; `status().notReady` says why not. */
  ready(): boolean;
  status(): PodStatus;
  /** Where each listener is really served. */
  addresses(): BoundAddress[];
  /** Where health, status and metrics are served. */
  admin(): { address: string; port: number };
  /** Looks at the files now; resolves when what they say is in force or refused. */
  reload(): Promise<void>;
  /** Drains and ends everything; resolves when nothing is left. */
  stop(): Promise<void>;
}

/** Rejects with one sentence when the relay cannot start at all. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  // The queue is mail of others, and the folder that holds it may be open to everybody. Tasks inherit this.
  process.umask(0o077);
  prepareStateDir(options.stateDir);
  const ownership = takeOwnership(options.stateDir);
  try {
    await recoverSpool(options.stateDir);
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
async function recoverSpool(stateDir: string): Promise<void> {
  const spool = new Spool(stateDir);
  spool.sweep();
  await spool.restore();
  await spool.close();
}
