/**
 * What supervisor and tasks say to each other over their channel. A task starts with `configure`, answers `ready` or
 * `failed`, and ends after `drain`. Key material crosses this channel only: it is never on disk or in a log.
 */
import type { Policy } from '#crds/policyfile.ts';

/** PEM text of a pair that was judged usable. */
export interface PairText {
  readonly cert: string;
  readonly key: string;
}

export type ToListener =
  | {
      kind: 'configure';
      policy: Policy;
      pair: PairText | null;
      /** 48 bytes in base64, the same for all processes of a relay. */
      ticketKeys: string;
      stateDir: string;
    }
  | { kind: 'pair'; pair: PairText }
  /** With an accepted, paused socket as the handle. */
  | { kind: 'connection'; listener: string; client: string }
  /** No further connections; end those that are open after `deadlineMs`. */
  | { kind: 'drain'; deadlineMs: number };

export type ToRouter =
  | { kind: 'configure'; policy: Policy; trust: string | null; stateDir: string }
  | { kind: 'trust'; trust: string | null }
  /** The router before this one has let go of the queue: begin. */
  | { kind: 'start' }
  | { kind: 'entered'; ids: readonly string[] }
  | { kind: 'drain'; deadlineMs: number };

/** Increments since the last report, by name and label; see serve/metrics.ts. */
export type Counts = Readonly<Record<string, number>>;

export type FromListener =
  | { kind: 'ready' }
  | { kind: 'failed'; message: string }
  /** Connections that are over, one entry each: the supervisor counts per client. */
  | { kind: 'ended'; clients: readonly string[] }
  | { kind: 'plaintext'; client: string }
  /** The disk failed: this process takes no further mail and ends. */
  | { kind: 'broken' }
  | { kind: 'entered'; ids: readonly string[] }
  | { kind: 'counts'; counts: Counts };

export interface QueueFigures {
  readonly depth: number;
  readonly held: number;
  /** Milliseconds since the epoch at which the oldest message was received. */
  readonly oldest: number | null;
  readonly deferrals: readonly { destination: string; message: string }[];
}

export type FromRouter =
  | { kind: 'ready' }
  | { kind: 'failed'; message: string }
  | { kind: 'queue'; figures: QueueFigures }
  | { kind: 'counts'; counts: Counts };
