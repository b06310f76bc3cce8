/**
 * Sends the events that wait in the spool to their receiver, in batches, one after the other, the oldest first. A batch is
 * forgotten when the receiver has taken it, so each event arrives at least once. A receiver that fails is asked again
 * after growing pauses. Beyond a bound the oldest events are dropped and counted: mail never waits for them. So are an
 * event that the receiver never takes while it takes others (batches.ts), and one that is damaged in the store.
 */
import { createHash } from 'node:crypto';
import type { EventFigures } from '#crds/podstatus.ts';
import type { Log } from '../observe/log.ts';
import type { SpoolEvent } from '../spool/spool.ts';
import { Batches, pauseMs } from './batches.ts';
import { printBatch } from './encode.ts';
import type { Posted } from './post.ts';
import { signRequest } from './signature.ts';

const LOOK_MS = 1_000;
const BOUND_MS = 5_000;
/** A fault that is over sooner is not told. */
const FAILING_MS = 60_000;
/** A failure that events hardly cause is believed to be about them after this time. */
const REFUSING_MS = 86_400_000;
/** How long a drop is told. */
const DROPPED_MS = 3_600_000;
const MOST_WAITING = 100_000;

interface EventSenderDeps {
  readonly relay: { readonly name: string; readonly namespace: string };
  readonly outbox: {
    list(atMost: number): readonly SpoolEvent[];
    readonly size: number;
    forget(keys: readonly string[]): Promise<void>;
    drop(count: number): Promise<void>;
    dropDamaged(): Promise<number>;
  };
  /** Undefined if the Secret has none. */
  readonly readKeys: () => readonly Buffer[] | undefined;
  readonly post: (
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => Promise<Posted>;
  readonly most?: number;
  readonly log: Log;
  readonly count: (result: 'sent' | 'dropped' | 'failed', count: number) => void;
  readonly clock: () => number;
  readonly wall: () => number;
  readonly random: () => number;
}

type NotTaken = Exclude<Posted, { kind: 'taken' }>;

interface Failure {
  readonly reason: string;
  readonly since: number;
  readonly times: number;
}

export class EventSender {
  readonly #deps: EventSenderDeps;
  readonly #most: number;
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #closing = new AbortController();
  readonly #batches = new Batches();
  #sending: Promise<void> | undefined;
  #bounding: Promise<void> | undefined;
  #failure: Failure | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #droppedAt = Number.NEGATIVE_INFINITY;
  /** What the receiver said to what was dropped. null: it is too slow. */
  #dropReason: string | null = null;
  #waiting = 0;

  constructor(deps: EventSenderDeps) {
    this.#deps = deps;
    this.#most = deps.most ?? MOST_WAITING;
    this.#timers = [
      setInterval(() => void this.look(), LOOK_MS).unref(),
      setInterval(() => void this.keepBound(), BOUND_MS).unref(),
    ];
    void this.keepBound();
  }

  /** Sends what waits, unless the receiver needs a pause. */
  look(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Counts what waits, and drops what is too much. */
  keepBound(): Promise<void> {
    this.#bounding ??= this.#keepBound().finally(() => {
      this.#bounding = undefined;
    });
    return this.#bounding;
  }

  async #keepBound(): Promise<void> {
    const { outbox } = this.#deps;
    try {
      this.#waiting = outbox.size;
      const tooMany = this.#waiting - this.#most;
      if (tooMany <= 0) return;
      await outbox.drop(tooMany);
      this.#dropped(tooMany, `more than ${this.#most} wait`);
      this.#tellDrop(null);
    } catch {
      // The store is being recovered: at the next look.
    }
  }

  get figures(): EventFigures {
    const { clock } = this.#deps;
    const isFailing = this.#failure && clock() - this.#failure.since >= FAILING_MS;
    const hasDropped = clock() - this.#droppedAt < DROPPED_MS;
    const reason = isFailing ? this.#failure?.reason : hasDropped ? this.#dropReason : null;
    return { waiting: this.#waiting, failure: reason ?? null, hasDropped };
  }

  /** Waits for no receiver: what was not taken waits for the next process. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#closing.abort();
    await Promise.all([this.#sending, this.#bounding]);
  }

  async #sendAll(): Promise<void> {
    let sent = 0;
    while (!this.#closing.signal.aborted && this.#deps.clock() >= this.#notBefore) {
      const { batch, isRest } = await this.#nextBatch();
      // A request costs as much as many events. What is less than before waits for more, until the next look.
      if (batch.length === 0 || (isRest && batch.length < sent)) return;
      const posted = await this.#send(batch);
      if (this.#closing.signal.aborted && posted.kind !== 'taken') return;
      if (posted.kind === 'taken') await this.#taken(batch);
      else await this.#notTaken(batch, posted);
      if (isRest) return;
      sent = batch.length;
    }
  }

  async #nextBatch(): Promise<{ readonly batch: readonly SpoolEvent[]; readonly isRest: boolean }> {
    const { outbox, clock } = this.#deps;
    try {
      const events = outbox.list(this.#batches.choice);
      const damaged = await outbox.dropDamaged();
      if (damaged > 0) this.#dropped(damaged, 'damaged in the store');
      const batch = this.#batches.pick(events, clock());
      return { batch, isRest: this.#batches.isRest(batch, events) };
    } catch {
      // The store is being recovered.
      return { batch: [], isRest: true };
    }
  }

  async #taken(batch: readonly SpoolEvent[]): Promise<void> {
    this.#failure = undefined;
    this.#batches.taken(batch);
    this.#deps.count('sent', batch.length);
    this.#waiting = Math.max(0, this.#waiting - batch.length);
    // If this fails the events are sent once more.
    await this.#deps.outbox.forget(batch.map(({ key }) => key)).catch(() => undefined);
  }

  async #notTaken(batch: readonly SpoolEvent[], { kind, reason }: NotTaken): Promise<void> {
    const { outbox, count, clock } = this.#deps;
    const isLasting = clock() - (this.#failure?.since ?? clock()) >= REFUSING_MS;
    const lesson = this.#batches.failed(batch, { kind, isLasting }, clock());
    if (lesson.kind === 'wait') return this.#failed(reason);
    count('failed', 1);
    // What comes next is no repetition, so the pauses begin anew.
    this.#notBefore = clock() + pauseMs(0);
    if (this.#failure && lesson.kind === 'split') this.#failure = { ...this.#failure, times: 0 };
    if (lesson.kind !== 'giveUp') return;
    try {
      await outbox.forget([lesson.key]);
      this.#dropped(1, `the receiver takes others, and not this one (${reason})`);
      this.#tellDrop(reason);
    } catch {
      // The store is being recovered: it is tried again.
    }
  }

  #dropped(events: number, reason: string): void {
    const { log, count } = this.#deps;
    this.#waiting = Math.max(0, this.#waiting - events);
    count('dropped', events);
    log('events_dropped', { events, reason });
  }

  #tellDrop(reason: string | null): void {
    this.#droppedAt = this.#deps.clock();
    this.#dropReason = reason;
  }

  async #send(batch: readonly SpoolEvent[]): Promise<Posted> {
    const { relay, readKeys, wall, post } = this.#deps;
    const keys = readKeys();
    if (!keys)
      return { kind: 'failed', reason: 'the Secret has no key that can sign: see events.webhook.secretName' };
    const sentAt = wall();
    const body = printBatch(relay, batch, sentAt);
    try {
      const headers = signRequest(keys, { id: nameBatch(batch), sentAt, body });
      return await post(body, headers, this.#closing.signal);
    } catch (error) {
      // A trust bundle that cannot be read.
      return { kind: 'failed', reason: (error as Error).message };
    }
  }

  #failed(reason: string): void {
    const { clock, random, log, count } = this.#deps;
    const { since = clock(), times = 0 } = this.#failure ?? {};
    if (this.#failure?.reason !== reason) log('events_not_taken', { reason });
    this.#failure = { reason, since, times: times + 1 };
    this.#notBefore = clock() + pauseMs(times) * (0.5 + random() / 2);
    count('failed', 1);
  }
}

/** The same events have the same id, so that a receiver can tell a repetition. */
function nameBatch(batch: readonly SpoolEvent[]): string {
  const keys = batch.map(({ key }) => key).join();
  return `msg_${createHash('sha256').update(keys).digest('base64url').slice(0, 22)}`;
}
