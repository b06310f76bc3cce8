/** The functions of the task that the sessions of one listener need. Types only. */
import type { SMTPServerDataStream } from 'smtp-server';
import type { Listener, Policy } from '#crds/policyfile.ts';
import type { LoginGuard } from '../auth/guard.ts';
import type { Maps } from '../headers/maps.ts';
import type { Log } from '../observe/log.ts';
import type { Tracer } from '../observe/trace.ts';
import type { Clocks } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { CountedBy } from '../task/messages.ts';
import type { Arrival } from './arrival.ts';
import type { RefusalLog } from './refusallog.ts';
import type { Reply } from './reply.ts';

/** Stores a message, or passes it to its next hop. Throws a Refusal. */
export type Taker = (
  stream: SMTPServerDataStream,
  arrival: Arrival,
) => Promise<{ id: string; bytes: number; reply: string }>;

export interface ListenerSessionsDeps {
  readonly policy: Policy;
  readonly listener: Listener;
  readonly log: Log;
  readonly clocks: Clocks;
  readonly counters: Counters;
  readonly tracer: Tracer;
  readonly hasPair: () => boolean;
  /** The address maps, as they are now. */
  readonly maps: () => Maps;
  /** Absent if the policy suppresses no recipient. */
  readonly isSuppressed?: ((address: string) => boolean) | undefined;
  readonly take: Taker;
  /** Why a message of this announced size cannot be accepted now. */
  readonly refusalOfMore: (bytes: number) => Reply | undefined;
  /** Counts a message. Returns the number in this minute over all processes. */
  readonly countMessage: (of: CountedBy, who: string) => Promise<number>;
  /** A client sent mail in plain text: it was accepted, or Required refused MAIL. */
  readonly onPlaintext: (client: string, helo: string, isRefused: boolean) => void;
  readonly refusalLog: RefusalLog;
  readonly guard: LoginGuard;
}
