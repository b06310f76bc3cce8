/**
 * All changes of a queued message except its delivery. A message is settled, returned to its sender when it is too old,
 * and reported when it is late. A person can hold, release or remove it. Each change is written together with the
 * report about it (changes.ts). Nothing else happens to a message while it is being delivered, because it might be
 * reported twice; but it may be reported as late. A person who wants to change it then comes before its next transaction (turns.ts).
 */
import { type Failure, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Verdict } from '../delivery/courier.ts';
import { type DsnRecipient, notifyWants } from '../dsn/recipient.ts';
import type { Log } from '../observe/log.ts';
import { type QueueRecord, type Recipient, timeOfQueueId } from '../spool/record.ts';
import type { Loaded, Spool } from '../spool/spool.ts';
import type { Counters } from '../task/counts.ts';
import type { Ages } from './ages.ts';
import { Changes } from './changes.ts';
import { listRemoved, listVerdicts, type MailRecorder } from './mailevent.ts';
import type { Changed } from './progress.ts';
import { findShortestExpiry } from './retry.ts';
import { type AttemptTarget, applyVerdicts, forgetAttempts, makeExpired } from './settlement.ts';
import { Sweep } from './sweep.ts';
import { Turns } from './turns.ts';

const SWEEP_MS = 5_000;
/** An expired recipient is not tried again. */
const NOWHERE: AttemptTarget = { destination: { key: '' }, shared: undefined };

/** The part of the queue that is needed here, implemented by manager.ts. */
interface ActedQueue {
  add(id: string): void;
  renew(id: string): void;
  /** A change of this message is under way, so its cached content is old. */
  changes(id: string): void;
  ids(after: string): Iterable<string>;
  isDelivering(id: string): boolean;
  findProspect(id: string, from: string, recipient: Recipient): Prospect;
}

/** The state of one recipient: when the next attempt is, and why it waits. */
export interface Prospect {
  readonly destination: string;
  /** Milliseconds since the epoch. */
  readonly due: number | undefined;
  readonly failure: Failure | undefined;
  /**
   * True if this message was tried, or if a session to its destination failed while the message was due, and if it waits
   * for no person. Only then may it expire.
   */
  readonly mayExpire: boolean;
  /** Mail to this destination expires at this age. */
  readonly expireMs: number;
}

export interface MessageActionsDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly log: Log;
  readonly wall: () => number;
  readonly ages: Ages;
  readonly counters: Counters;
  readonly queue: ActedQueue;
  /** Absent if nobody wants to know what becomes of mail. */
  readonly recorder?: MailRecorder | undefined;
}

export type ActionOutcome = 'done' | 'gone' | 'delivering';

/** The result of an attempt for a batch of recipients. */
interface Answer {
  readonly verdicts: readonly Verdict[];
  readonly tellsSender: boolean;
  readonly hop: string;
  readonly target: AttemptTarget;
  /** True if the destination gave no session. */
  readonly isAway: boolean;
}

export class MessageActions {
  readonly #options: MessageActionsDeps;
  readonly #changes: Changes;
  readonly #sweep: Sweep;
  readonly #turns = new Turns();
  #timer: NodeJS.Timeout | undefined;
  #sweeping = false;

  constructor(options: MessageActionsDeps) {
    const { queue, policy } = options;
    this.#options = options;
    this.#changes = new Changes(options);
    const { delayWarningSeconds } = policy.queue;
    const warnMs = delayWarningSeconds === null ? null : delayWarningSeconds * 1000;
    const expireMs = findShortestExpiry(policy) * 1000;
    // The sweep goes by the time in the id, and what it finds may be younger.
    const isOlder = (id: string, ms: number) => this.#findAge(id) > ms;
    this.#sweep = new Sweep(
      { expireMs, warnMs },
      {
        ids: (after) => queue.ids(after),
        expire: async (id) => (isOlder(id, expireMs) ? this.#expire(id) : undefined),
        warn: async (id) => (warnMs !== null && isOlder(id, warnMs) ? this.#warn(id) : undefined),
      },
    );
  }

  /** Starts to look for late and expired messages at intervals. */
  start(everyMs = SWEEP_MS): void {
    this.#timer = setInterval(() => void this.sweep(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Ends the repetition of failed writes. */
  close(): void {
    this.#changes.close();
  }

  async sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      await this.#sweep.look(this.#options.ages.latest);
    } catch (error) {
      this.#notRead(error as Error);
    } finally {
      this.#sweeping = false;
    }
  }

  /** Undefined unless a change of this message is being written, or a person waits to make one. No delivery may begin then. */
  changing(id: string): Promise<unknown> | undefined {
    return this.#changes.pending(id) ?? this.#turns.asked(id);
  }

  /** A delivery begins. The record is kept, so that it is not read again. The returned function ends it. */
  begin(id: string, record: QueueRecord): () => void {
    const letGo = this.#changes.keep(id, record);
    const end = this.#turns.begin(id);
    return () => {
      letGo();
      end();
    };
  }

  /** Writes the verdicts on these recipients, together with the reports about them. True if no recipient is left. */
  async settle(
    taken: Loaded & { kind: 'message' },
    batch: readonly Recipient[],
    { verdicts, hop, ...attempted }: Answer,
  ): Promise<boolean> {
    const byAddress = new Map<string, Verdict>();
    for (const [index, verdict] of verdicts.entries()) {
      const recipient = batch[index];
      if (recipient) byAddress.set(recipient.address, verdict);
    }
    const changed = await this.#changes.write(taken.id, async (record) => {
      const attempt = { ...attempted, now: this.#options.wall() };
      const settlement = applyVerdicts(record, byAddress, attempt);
      this.#changes.tellDiscarded(taken.id, settlement.discarded);
      const told = await this.#changes.tell(taken, record, settlement, hop);
      return this.#changes.record(record, told, () =>
        listVerdicts(record, byAddress, { id: taken.id, at: attempt.now, hop: hop === '' ? null : hop }),
      );
    });
    return !changed || changed.record.recipients.length === 0;
  }

  /** A held message is not delivered, returned or reported until it is released. */
  hold(id: string, patience?: AbortSignal): Promise<ActionOutcome> {
    return this.#touch(id, patience, (record) => ({ record: { ...record, hold: true }, news: [] }));
  }

  /** Also gives recipients that were set aside a new attempt. */
  release(id: string, patience?: AbortSignal): Promise<ActionOutcome> {
    return this.#touch(id, patience, (record) => {
      const { hold: _, ...rest } = record;
      return { record: { ...rest, recipients: record.recipients.map(forgetAttempts) }, news: [] };
    });
  }

  /** Removes the message finally. Nobody gets a report. */
  remove(id: string, patience?: AbortSignal): Promise<ActionOutcome> {
    return this.#touch(id, patience, (record) =>
      this.#changes.record(record, { record: { ...record, recipients: [] }, news: [] }, () =>
        listRemoved(id, record.recipients, this.#options.wall()),
      ),
    );
  }

  /** Waits for the end of the transactions under way as long as the patience lasts. Absent: there is none. */
  async #touch(
    id: string,
    patience: AbortSignal | undefined,
    change: (record: QueueRecord) => Changed,
  ): Promise<ActionOutcome> {
    const { queue, spool } = this.#options;
    const take = async () => {
      const changed = await this.#changes.write(id, change);
      queue.renew(id);
      if (changed) return 'done';
      // A write that fails is not repeated when this process ends, and "gone" would end the wish of the person.
      if (spool.read(id).kind === 'message') throw new Error('the change was not written, ask again');
      return 'gone';
    };
    return (await this.#turns.ask(id, take, patience)) ?? 'delivering';
  }

  #findAge(id: string): number {
    return this.#options.ages.of(timeOfQueueId(id));
  }

  /** What is read now may be wrong soon: a change under way may hold the message. The next look takes it. */
  #isBusy(id: string): boolean {
    return this.#options.queue.isDelivering(id) || this.#changes.pending(id) !== undefined;
  }

  async #expire(id: string): Promise<void> {
    const { queue, spool, log, counters, wall } = this.#options;
    if (this.#isBusy(id)) return;
    const read = spool.read(id);
    if (read.kind !== 'message' || read.record.hold) return;
    // Other states wait for a person: an earlier version set them aside.
    const age = this.#findAge(id);
    const ending = this.#late(id, read.record).filter(
      ({ mayExpire, recipient, expireMs }) => recipient.state === 'queued' && mayExpire && age > expireMs,
    );
    const taken = ending.length > 0 ? spool.load(id) : undefined;
    if (taken?.kind !== 'message') return;
    const verdicts = new Map(
      ending.map(({ recipient, failure }) => [recipient.address, makeExpired(failure)] as const),
    );
    const changed = await this.#changes.write(id, async (record) => {
      const attempt = { tellsSender: false, now: wall(), target: NOWHERE, isAway: false };
      const settlement = applyVerdicts(record, verdicts, attempt);
      this.#changes.tellDiscarded(id, settlement.discarded);
      const told = await this.#changes.tell(taken, record, settlement, null);
      return this.#changes.record(record, told, () =>
        listVerdicts(record, verdicts, { id, at: attempt.now, hop: null, ends: 'expired' }),
      );
    });
    if (!changed) return;
    log('expired', { id, to: [...verdicts.keys()] });
    for (const _ of verdicts) counters.add('bounced', 'expired');
    queue.renew(id);
  }

  /** A message that goes in many transactions is late long before the last one. */
  async #warn(id: string): Promise<void> {
    const later = () => void this.#tellLate(id).catch((error: Error) => this.#notRead(error));
    if (!this.#turns.callAfter(id, later)) await this.#tellLate(id);
  }

  /** A change under way may hold it, and a write that failed may be in the store. So the record at the time of the write counts. */
  async #tellLate(id: string): Promise<void> {
    const { spool, wall } = this.#options;
    const read = spool.read(id);
    if (read.kind !== 'message' || !maySayLate(read.record)) return;
    const taken = spool.load(id);
    if (taken.kind !== 'message') return;
    await this.#changes.write(id, async (now) => {
      if (!maySayLate(now)) return { record: now, news: [] };
      const dsnRecipients = this.#late(id, now)
        .filter(({ recipient: { state, notify } }) => state === 'queued' && notifyWants(notify, 'delay'))
        .map(({ recipient, failure, expireMs }): DsnRecipient => {
          const willRetryUntil = wall() + expireMs - this.#findAge(id);
          return { kind: 'delay', recipient, failure, willRetryUntil };
        });
      const told = await this.#changes.tell(taken, now, { left: now.recipients, dsnRecipients }, null);
      return { ...told, record: { ...now, warned: true } };
    });
  }

  /** Such as a store that is being recovered. A later look finds what this one missed. */
  #notRead({ message }: Error): void {
    this.#options.log('spool_not_read', { message });
  }

  /** The late recipients, each with the reason. */
  #late(id: string, record: QueueRecord) {
    return record.recipients.map((recipient) => {
      const prospect = this.#options.queue.findProspect(id, record.from, recipient);
      const text = `${prospect.destination} has not taken it yet`;
      const unknown = makeFailure({ cause: 'connect', status: '4.4.1', text });
      return { ...prospect, recipient, failure: prospect.failure ?? unknown };
    });
  }
}

function maySayLate({ warned, hold, from }: QueueRecord): boolean {
  return !warned && !hold && from !== '';
}
