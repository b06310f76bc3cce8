/** The start options of a relay, and the interface of a running relay. */
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import type { ProcessLog } from '../observe/log.ts';
import type { AmongSiblings } from './evacuation.ts';

export interface RelayOptions {
  /** Contains POLICY_FILE_NAME. */
  readonly policyDir: string;
  /** Contains tls.crt and tls.key. May be empty or missing. */
  readonly certificateDir: string;
  /** Contains a folder for the Secret that will be served next, if there is one. The status tells its key. */
  readonly nextCertificateDir?: string;
  /**
   * Contains a folder for each Secret that the policy names. `configMapsDir` does the same for ConfigMaps. Both may be
   * missing.
   */
  readonly secretsDir: string;
  readonly configMapsDir: string;
  /** Contains the queue, the last good policy and the lock. Created if missing. */
  readonly stateDir: string;
  /** The address of the listening sockets: "::" (falls back to "0.0.0.0" without IPv6), "127.0.0.1", ... */
  readonly address: string;
  readonly adminAddress: string;
  /** 0: any free port. `admin()` returns it. */
  readonly adminPort: number;
  /** The number of listener processes. Default: it depends on the CPU limit (cpus.ts). */
  readonly processes?: number;
  /** Set in a pod of a StatefulSet. Without it this relay neither hands its queue over nor receives one. */
  readonly among?: AmongSiblings;
  readonly version: string;
  /** Set in a pod: its identity for the status. */
  readonly identity?: PodIdentity;
  /** Receives each change of policy, certificate and tasks, from the start on. */
  readonly log: ProcessLog;
  /** The file descriptor for the log lines of the tasks, which are separate processes. */
  readonly logFd: number;
  /** How long new connections are still accepted after `stop`, while clients learn that this pod ends. Default: 0. */
  readonly graceMs?: number;
  /** How long open sessions may continue after a change of policy or a stop. Default: five minutes. */
  readonly drainMs?: number;
  /** How often the keys of session tickets are replaced. Default: four hours. */
  readonly ticketKeyMs?: number;
  /** How long clients get to read of a new authority before it is served. Default: two minutes. */
  readonly authorityMs?: number;
  /** How often the files are read without a sign of a change. Default: two seconds. */
  readonly pollMs?: number;
  /** The first pause before a failed start or an unopened port is tried again; it grows. Default: two seconds. */
  readonly retryMs?: number;
}

export interface BoundAddress {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface Relay {
  /** True while every listener serves by the policy. `status().notReady` says why not. */
  ready(): boolean;
  status(): PodStatus;
  /** The real addresses of the listeners. */
  addresses(): BoundAddress[];
  /** The address of health, status and metrics. */
  admin(): { address: string; port: number };
  /** Reads the files now. Resolves when their content is in force or refused. */
  reload(): Promise<void>;
  /** Drains and ends all tasks. Resolves when nothing is left. */
  stop(): Promise<void>;
}
