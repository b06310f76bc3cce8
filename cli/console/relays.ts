/** What the console can ask, and whom: the relay on this machine, or the pods of a relay in a cluster. Only types. */
import type { PodStatus } from '#crds/podstatus.ts';
import type { OpenSessions } from '#crds/sessions.ts';
import type { HistoryEntry, HistoryQuery } from '#relay/history/entry.ts';
import type { QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import type { Result } from '../queuetext.ts';
import type { TakenMessage } from '../sink/taken.ts';

export interface Reading {
  readonly status: PodStatus;
  /** As Prometheus reads them. Empty: unknown. */
  readonly metrics: string;
}

/** Every method throws one sentence if the pod does not answer. */
export interface RelayPod {
  readonly name: string;
  read(): Promise<Reading>;
  sessions(): Promise<OpenSessions>;
  list(): AsyncIterable<QueueEntry>;
  show(id: string): Promise<QueueEntry | undefined>;
  act(action: QueueAction, ids: readonly string[]): Promise<readonly Result[]>;
  find(query: HistoryQuery): Promise<readonly HistoryEntry[]>;
  /** The last lines of the log. */
  log(): Promise<readonly string[]>;
}

export interface Relays {
  /** How often a page looks at the pods. */
  readonly everyMs: number;
  /** NAMESPACE/NAME of the MailRelay. */
  readonly title: string;
  pods(): Promise<readonly RelayPod[]>;
  /** What the sink behind the relay has taken, the latest first. Empty without one. */
  taken(): readonly TakenMessage[];
}
