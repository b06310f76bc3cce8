/**
 * What supervisor and tasks say to each other over their channel. A task starts with `configure`, answers `ready` or
 * `failed`, and ends after `drain`. Key material crosses this channel only: it is never on disk or in a log.
 */
import type { FailureCause } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Materials } from './materials.ts';

/** PEM text of a pair that was judged usable. */
export interface PairText {
  readonly cert: string;
  readonly key: string;
}

export interface Pairs {
  readonly host: PairText | null;
  /** For clients that ask for a name inside the cluster. */
  readonly internal: PairText | null;
}

export type ToListener =
  | {
      kind: 'configure';
      policy: Policy;
      pairs: Pairs;
      /** 48 bytes in base64 each, the newest first; the same for all processes of a relay. */
      ticketKeys: readonly string[];
      stateDir: string;
      materials: Materials;
    }
  | { kind: 'pairs'; pairs: Pairs }
  | { kind: 'ticketKeys'; keys: readonly string[] }
  | { kind: 'materials'; materials: Materials }
  /** How full the queue is, where it is limited. */
  | { kind: 'queue'; depth: number; bytes: number }
  /** The answer to `count`: messages of this minute, this one included. */
  | { kind: 'counted'; ask: number; count: number }
  /**
   * With an accepted, paused socket as the handle. `countedAs` comes back when it has ended; `early` is what was read of
   * it already, in base64.
   */
  | { kind: 'connection'; listener: string; client: string; countedAs: string; early?: string }
  /** No further connections; end those that are open after `deadlineMs`. */
  | { kind: 'drain'; deadlineMs: number };

/** To whom the queue of a pod that leaves goes, and the pair that both ends show. */
export interface Handover {
  readonly siblings: readonly { readonly host: string; readonly port: number }[];
  readonly pair: PairText;
}

/** How the figures of a giver name a sibling that takes nothing. */
export const handoverTo = (host: string) => `hand-over to ${host}`;

/** A giver (relay/handover) stands in the place of the router, and hears the same. */
export type ToRouter =
  | { kind: 'configure'; policy: Policy; materials: Materials; stateDir: string; handover: Handover | null }
  | { kind: 'materials'; materials: Materials }
  /** The router before this one has let go of the queue: begin. */
  | { kind: 'start' }
  | { kind: 'entered'; ids: readonly string[] }
  /** A task has ended that may have entered what it did not tell: what is in the spool and not known is taken up. */
  | { kind: 'look' }
  | { kind: 'drain'; deadlineMs: number };

/** Increments since the last report, by name and label; see observe/metrics.ts. */
type Counts = Readonly<Record<string, number>>;

export interface Counted {
  readonly counts: Counts;
  readonly observations: Observations;
}

/** Single measurements since the last report, by name. */
type Observations = Readonly<Record<string, readonly number[]>>;

/** What every task says. */
export type FromTask =
  | { kind: 'ready' }
  | { kind: 'failed'; message: string }
  /** Every two seconds; how long the disk has owed the answer to a write. */
  | { kind: 'beat'; diskWaitMs: number };

export type FromListener =
  /** Connections that are over, one entry each, as they were counted. */
  | { kind: 'ended'; clients: readonly string[] }
  | { kind: 'plaintext'; client: string; helo: string }
  /** A message of this client, or login, is about to come. */
  | { kind: 'count'; ask: number; of: 'client' | 'login'; who: string }
  /** The disk failed: this process takes no further mail and ends. */
  | { kind: 'broken' }
  | { kind: 'entered'; ids: readonly string[] }
  /** All of them; only where it delivers by itself. */
  | { kind: 'logins'; refused: LoginsRefused }
  | ({ kind: 'counts' } & Counted);

export interface QueueFigures {
  readonly depth: number;
  readonly bytes: number;
  readonly held: number;
  /** Milliseconds since the epoch at which the oldest message was received. */
  readonly oldest: number | null;
  /** Destinations that wait for nothing but a free slot: deliveries over all are bounded. */
  readonly blockedDestinations?: number;
  readonly deferrals: readonly {
    readonly destination: string;
    readonly cause: FailureCause;
    readonly message: string;
  }[];
  readonly loginsRefused: LoginsRefused;
}

/** Next hops that refuse our login, and what they say. */
export type LoginsRefused = readonly { readonly destination: string; readonly message: string }[];

/** Before the router has told any. */
export const NO_FIGURES: QueueFigures = {
  depth: 0,
  bytes: 0,
  held: 0,
  oldest: null,
  deferrals: [],
  loginsRefused: [],
};

export type FromRouter = { kind: 'queue'; figures: QueueFigures } | ({ kind: 'counts' } & Counted);

export type ToReceiver =
  | { kind: 'configure'; stateDir: string; pair: PairText }
  | { kind: 'pair'; pair: PairText }
  /** With an accepted, paused socket as the handle. */
  | { kind: 'connection' }
  | { kind: 'drain' };

export type FromReceiver = { kind: 'entered'; ids: readonly string[] };
