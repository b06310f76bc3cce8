/**
 * The messages between supervisor and tasks. A task starts with `configure`, answers `ready` or `failed`, and ends
 * after `drain`. Keys travel only over this channel and are never on disk or in a log. Pure.
 */
import type { FailureCause } from '#crds/failure.ts';
import type { EventFigures, HistoryFigures, TlsReportsDay } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { SessionsOfProcess } from '#crds/sessions.ts';
import type { StricterLevel } from '#crds/tlslevel.ts';
import type { KeptSecrets, Materials, RefusedLogins } from './materials.ts';

/** The PEM text of a pair that passed the check. */
export interface PairText {
  readonly cert: string;
  readonly key: string;
}

export interface Pairs {
  readonly host: PairText | null;
  /** The pairs for clients that ask for another name, by Secret. */
  readonly bySecret: Readonly<Record<string, PairText>>;
}

export type ToListener =
  | {
      kind: 'configure';
      policy: Policy;
      pairs: Pairs;
      /** Each has 48 bytes in base64, newest first. All processes of a relay have the same keys. */
      ticketKeys: readonly string[];
      stateDir: string;
      materials: Materials;
    }
  | { kind: 'pairs'; pairs: Pairs }
  | { kind: 'ticketKeys'; keys: readonly string[] }
  | { kind: 'materials'; materials: Materials }
  /** The size of the queue, if the policy limits it. */
  | { kind: 'queue'; depth: number; bytes: number }
  /** The answer to `count`: the messages of this minute, including this one. */
  | { kind: 'counted'; ask: number; count: number }
  /**
   * The handle is the accepted, paused socket. `countedAs` is sent back when the connection has ended. `early` contains
   * bytes that were already read, in base64.
   */
  | { kind: 'connection'; listener: string; client: string; countedAs: string; early?: string }
  /** No more connections. Open ones end after `deadlineMs`. */
  | { kind: 'drain'; deadlineMs: number };

/** The siblings that receive the queue of a pod in evacuation, and the pair that both sides show. */
export interface Handover {
  readonly siblings: readonly { readonly host: string; readonly port: number }[];
  readonly pair: PairText;
}

/** The name of a sibling in the figures of a giver, if the sibling takes nothing. */
export const handoverTo = (host: string) => `hand-over to ${host}`;

/** A giver (relay/handover) replaces the router and gets the same messages. */
export type ToRouter =
  | {
      kind: 'configure';
      policy: Policy;
      materials: Materials;
      kept: KeptSecrets;
      stateDir: string;
      handover: Handover | null;
    }
  | { kind: 'materials'; materials: Materials }
  /** The router before this one has ended: begin. */
  | { kind: 'start'; refused: RefusedLogins }
  | { kind: 'entered'; ids: readonly string[] }
  | { kind: 'nowhere'; mail: readonly MailForNobody[] }
  /** A task has ended that may not have reported all messages it entered: load unknown messages of the spool. */
  | { kind: 'look' }
  | { kind: 'drain'; deadlineMs: number };

/** Increments since the last report, by name and label (observe/metrics.ts). */
type Counts = Readonly<Record<string, number>>;

export interface Counted {
  /** One for each reason that was counted, where there was a session. */
  readonly refused?: readonly RefusedClient[];
  /** Destinations that got mail, with the last judgement of each. */
  readonly judged?: readonly JudgedDestination[];
  readonly counts: Counts;
  readonly observations: Observations;
}

export interface JudgedDestination {
  readonly destination: string;
  /** Why a stricter level would have made its mail wait. null: it would not have. Absent: unknown. */
  readonly judged: Readonly<
    Partial<Record<StricterLevel, { readonly cause: FailureCause; readonly message: string } | null>>
  >;
}

/** Single measurements since the last report, by name. */
type Observations = Readonly<Record<string, readonly number[]>>;

/** To every task, when somebody asks for the open sessions of the relay. */
export type ToTask = { kind: 'sessions'; ask: number };

/** The messages of every task. */
export type FromTask =
  | { kind: 'ready' }
  | { kind: 'failed'; message: string }
  /** Sent every two seconds. `diskWaitMs`: how long the disk has not answered a write. */
  | { kind: 'beat'; diskWaitMs: number }
  /** The answer to `sessions`. */
  | { kind: 'sessions'; ask: number; sessions: SessionsOfProcess };

/** The last client that was refused for a reason. */
export interface RefusedClient {
  readonly reason: string;
  readonly client: string;
  readonly helo: string;
}

/** Mail whose recipients are all suppressed. It is in no queue, and only a history wants to know of it. */
export interface MailForNobody {
  readonly id: string;
  readonly from: string;
  readonly givenFrom?: string;
  readonly reportsTo?: string;
  readonly discarded: readonly { readonly address: string; readonly given?: readonly string[] }[];
  readonly receivedAt: number;
  readonly bytes: number;
  readonly messageId?: string;
}

/** Whose messages of this minute are counted. */
export type CountedBy = 'client' | 'login' | 'recipient';

export type FromListener =
  /** One entry for each connection that ended, as it was counted. */
  | { kind: 'ended'; clients: readonly string[] }
  | { kind: 'plaintext'; client: string; helo: string; isRefused: boolean }
  /** This client or login is about to send a message, or this recipient to get one. */
  | { kind: 'count'; ask: number; of: CountedBy; who: string }
  /** The disk failed: this process accepts no more mail and ends. */
  | { kind: 'broken' }
  | { kind: 'entered'; ids: readonly string[] }
  | { kind: 'nowhere'; mail: readonly MailForNobody[] }
  /** Sent when they have changed. */
  | { kind: 'reports'; reports: ListenerReports }
  | ({ kind: 'counts' } & Counted);

/** What a listener tells the router, which gets it unchanged. */
export type ForRouter = Extract<FromListener, { kind: 'entered' | 'nowhere' }>;

/** A destination, or a provider, that asks for fewer messages. */
export interface SlowedDestination {
  readonly destination: string;
  /** The part of its pace that it gets now, such as 1/4. */
  readonly pace: string;
  /** Since when its pace has not been whole, in milliseconds since the epoch. */
  readonly since: number;
  readonly message: string;
}

export interface QueueFigures {
  readonly depth: number;
  readonly bytes: number;
  readonly held: number;
  /** When the oldest message was received, in milliseconds since the epoch. */
  readonly oldest: number | null;
  /** Destinations that wait only for a free slot, because the deliveries over all destinations are limited. */
  readonly blockedDestinations?: number;
  readonly deferrals: readonly {
    readonly destination: string;
    readonly cause: FailureCause;
    readonly message: string;
  }[];
  readonly logins: HopLogins;
  /** Destinations from which no message has left since this time (milliseconds since the epoch). */
  readonly waits: readonly {
    readonly destination: string;
    /** True for a hop of the policy. */
    readonly configured: boolean;
    readonly since: number;
    readonly message: string;
  }[];
  /** Destinations that ask for fewer messages. */
  readonly slowed?: readonly SlowedDestination[];
  /** False while the volume takes no more mail. */
  readonly hasRoom: boolean;
  /** The last day that is over. Absent if no TLS reports are taken. */
  readonly tlsReports?: TlsReportsDay | undefined;
  /** Absent if the policy tells nobody. */
  readonly events?: EventFigures | undefined;
  /** Absent if the policy wants none. */
  readonly history?: HistoryFigures | undefined;
}

/** Next hops, each with a sentence. */
export type HopNotes = readonly { readonly destination: string; readonly message: string }[];

export interface HopLogins {
  /** Hops that refuse our login. */
  readonly refused: HopNotes;
  /** Hops that refuse the new contents of a Secret, while the old ones are in use. */
  readonly heldBack: HopNotes;
}

export const NO_LOGINS: HopLogins = { refused: [], heldBack: [] };

/** What a listener process says for the status. */
export interface ListenerReports {
  /** Only in mode CutThrough, where listeners deliver. */
  readonly logins: HopLogins;
  /** Why the content filter judges no message. null: it does, or there is none. */
  readonly filterFailure: string | null;
}

export const NO_REPORTS: ListenerReports = { logins: NO_LOGINS, filterFailure: null };

/** The value before the router's first report. */
export const NO_FIGURES: QueueFigures = {
  depth: 0,
  bytes: 0,
  held: 0,
  oldest: null,
  deferrals: [],
  logins: NO_LOGINS,
  waits: [],
  hasRoom: true,
};

export type FromRouter =
  | { kind: 'queue'; figures: QueueFigures }
  | { kind: 'kept'; kept: KeptSecrets }
  /** All of them. */
  | { kind: 'refused'; refused: RefusedLogins }
  | ({ kind: 'counts' } & Counted);

export type ToReceiver =
  | { kind: 'configure'; stateDir: string; pair: PairText; logging: Policy['logging'] }
  | { kind: 'pair'; pair: PairText }
  | ToTaskOnDemand;

export type FromReceiver = { kind: 'entered'; ids: readonly string[] };

/** To every process that starts with its first connection. */
export type ToTaskOnDemand =
  /** The handle is the accepted, paused socket. */
  { kind: 'connection' } | { kind: 'drain' };

/** The text that senders get at each of these host names, and the pair that proves the names. */
export interface ServedPolicy {
  readonly hosts: readonly string[];
  readonly text: string;
  readonly pair: PairText;
}

export type ToPolicyHost =
  | { kind: 'configure'; stateDir: string; served: ServedPolicy }
  | { kind: 'serve'; served: ServedPolicy }
  | ToTaskOnDemand;

export type FromPolicyHost = { kind: 'counts' } & Counted;
