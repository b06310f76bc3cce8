/** The answers of the console to its page. Only types, which server and page share. */
import type { PodStatus } from '#crds/podstatus.ts';
import type { OpenSessions } from '#crds/sessions.ts';
import type { HistoryEntry } from '#relay/history/entry.ts';
import type { QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import type { Result } from '../queuetext.ts';
import type { TakenMessage } from '../sink/taken.ts';

/** The figures of all pods together. null: unknown. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Per second, since the look before. */
  readonly accepted: number | null;
  readonly delivered: number | null;
  readonly deferred: number | null;
  readonly refused: number | null;
  /** Nineteen of twenty messages since the look before took no longer. */
  readonly acceptSeconds: number | null;
  readonly deliverySeconds: number | null;
  readonly depth: number | null;
  readonly held: number | null;
  readonly open: number | null;
}

export interface Outcomes {
  readonly delivered: number;
  readonly deferred: number;
  readonly bounced: number;
}

export interface PodLook {
  readonly name: string;
  readonly status?: PodStatus;
  /** The share of sessions in TLS since its start. */
  readonly tlsShare?: string;
  /** What became of recipients since its start. */
  readonly outcomes?: Outcomes;
  /** Why there is no status. */
  readonly problem?: string;
}

export interface Look {
  readonly title: string;
  readonly allowsChanges: boolean;
  readonly everyMs: number;
  /** Of all pods. */
  readonly tlsShare?: string;
  readonly pods: readonly PodLook[];
  /** The setting that lets a refused client in, by the reason of the refusal. */
  readonly cures: Readonly<Record<string, string>>;
  /** What the sink behind the relay has taken, the latest first. */
  readonly taken: readonly TakenMessage[];
  /** Those after the time that the page named. */
  readonly samples: readonly Sample[];
}

/** What pods could not answer, one sentence each. */
interface Gaps {
  readonly problems: readonly string[];
}

export interface MessageKey {
  readonly pod: string;
  readonly id: string;
}

export type QueuedMessage = MessageKey & QueueEntry;
type FoundMessage = MessageKey & HistoryEntry;

export interface QueueAnswer extends Gaps {
  /** The messages that match the search, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
  /** The oldest of them. */
  readonly entries: readonly QueuedMessage[];
}

export interface FindAnswer extends Gaps {
  /** The newest. */
  readonly entries: readonly FoundMessage[];
  /** True: there are more. */
  readonly isCut: boolean;
}

/** A message as the queue has it now, and as the history tells it. */
export interface Story extends Gaps {
  readonly queued: QueueEntry | null;
  readonly history: HistoryEntry | null;
}

/** Of each pod that answers. */
export interface SessionsAnswer extends Gaps {
  readonly pods: readonly (OpenSessions & { readonly pod: string })[];
}

export interface TraceAnswer extends Gaps {
  readonly lines: readonly { readonly pod: string; readonly text: string }[];
}

export interface ActRequest {
  readonly action: QueueAction;
  readonly messages: readonly MessageKey[];
}

export interface ActAnswer extends Gaps {
  readonly results: readonly (MessageKey & Result)[];
}
