/** What a relay is started with, and what whoever started it can ask of it. */
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import type { Log } from '../observe/log.ts';
import type { AmongSiblings } from './evacuation.ts';

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
  /** How often the keys of session tickets are replaced. Default: four hours. */
  readonly ticketKeyMs?: number;
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
