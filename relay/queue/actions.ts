/**
 * What becomes of a message besides being delivered: it is settled, returned to its sender when it is too old, told of
 * when it is late, and held, released or removed by a person. Each change and the message that tells of it are written
 * together (progress.ts). Nothing is done to a message while it is being delivered, or it might be told of twice.
 */
import { describeFailure, type Failure, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Verdict } from '../delivery/courier.ts';
import { type DsnRecipient, notifyWants } from '../dsn/recipient.ts';
import { type Reporting, reportsOf } from '../dsn/reports.ts';
import type { Log } from '../observe/log.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Loaded, Spool } from '../spool/spool.ts';
import type { Counters } from '../task/counts.ts';
import { type Changed, Progress } from './progress.ts';
import { applyVerdicts, type Settlement } from './settlement.ts';
import { Sweep } from './sweep.ts';

const SWEEP_MS = 5_000;

/** The queue, as far as it is needed here; manager.ts. */
interface ActedQueue {
  add(id: string): void;
  renew(id: string): void;
  /** It is being changed: what was read of it is old. */
  changes(id: string): void;
  ids(after: string): Iterable<string>;
  isDelivering(id: string): boolean;
  prospectOf(id: string, from: string, to: string): Prospect;
}

/** What is known of the way of one recipient: when it is tried next, and why not before. */
export interface Prospect {
  readonly destination: string;
  /** Milliseconds since the epoch. */
  readonly due: number | undefined;
  readonly failure: Failure | undefined;
  /** It was tried, or its destination was tried in vain while it was due: so it may be given up. */
  readonly hadItsChance: boolean;
}

export interface MessageActionsDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly log: Log;
  readonly wall: () => number;
  readonly counters: Counters;
  readonly queue: ActedQueue;
}

export type ActionOutcome = 'done' | 'gone' | 'delivering';

export class MessageActions {
  readonly #options: MessageActionsDeps;
  readonly #progress: Progress;
  readonly #sweep: Sweep;
  #timer: NodeJS.Timeout | undefined;
  #sweeping = false;

  constructor(options: MessageActionsDeps) {
    const { queue, spool, log, policy } = options;
    this.#options = options;
    this.#progress = new Progress(spool, log);
    const { expireAfterSeconds, delayWarningSeconds } = policy.queue;
    this.#sweep = new Sweep(
      {
        expireMs: expireAfterSeconds * 1000,
        warnMs: delayWarningSeconds === null ? null : delayWarningSeconds * 1000,
      },
      { ids: (after) => queue.ids(after), expire: (id) => this.#expire(id), warn: (id) => this.#warn(id) },
    );
  }

  /** Looks for what is late or too old from now on. */
  start(everyMs = SWEEP_MS): void {
    this.#timer = setInterval(() => void this.sweep(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Nobody waits any more for what cannot be written. */
  close(): void {
    this.#progress.close();
  }

  async sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      await this.#sweep.look(this.#options.wall());
    } finally {
      this.#sweeping = false;
    }
  }

  /** Undefined unless somebody is changing it right now; resolves when he has done. */
  changing(id: string): Promise<unknown> | undefined {
    return this.#progress.pending(id);
  }

  /** While it is delivered its record is not read again. */
  keep(id: string, record: QueueRecord): () => void {
    return this.#progress.keep(id, record);
  }

  /** Writes what a next hop said of these recipients, with the messages that tell of it; true where nobody is left. */
  async settle(
    taken: Loaded & { kind: 'message' },
    batch: readonly Recipient[],
    { verdicts, tellsSender, hop }: { verdicts: readonly Verdict[]; tellsSender: boolean; hop: string },
  ): Promise<boolean> {
    const byAddress = new Map(
      batch.flatMap(({ address }, index) => {
        const verdict = verdicts[index];
        return verdict ? [[address, verdict] as const] : [];
      }),
    );
    const changed = await this.#change(taken.id, async (record) => {
      const attempt = { tellsSender, now: this.#options.wall() };
      const settlement = applyVerdicts(record, byAddress, attempt);
      this.#tellDiscarded(taken.id, settlement.discarded);
      return this.#told(taken, record, settlement, hop);
    });
    return !changed || changed.record.recipients.length === 0;
  }

  /** Nothing is delivered, returned or told of until it is released. */
  hold(id: string): Promise<ActionOutcome> {
    return this.#touch(id, (record) => ({ record: { ...record, hold: true }, news: [] }));
  }

  /** Also gives recipients a new chance that were set aside. */
  release(id: string): Promise<ActionOutcome> {
    return this.#touch(id, (record) => {
      const { hold: _, ...rest } = record;
      const recipients = record.recipients.map(({ reason: __, triedAt: ___, ...one }) => ({
        ...one,
        state: 'queued' as const,
      }));
      return { record: { ...rest, recipients }, news: [] };
    });
  }

  /** For good; nobody is told. */
  remove(id: string): Promise<ActionOutcome> {
    return this.#touch(id, (record) => ({ record: { ...record, recipients: [] }, news: [] }));
  }

  async #touch(id: string, change: (record: QueueRecord) => Changed): Promise<ActionOutcome> {
    const { queue } = this.#options;
    if (queue.isDelivering(id)) return 'delivering';
    const changed = await this.#change(id, change);
    queue.renew(id);
    return changed === undefined ? 'gone' : 'done';
  }

  async #expire(id: string): Promise<void> {
    const { queue, spool, log, counters } = this.#options;
    const read = spool.read(id);
    if (read.kind !== 'message' || read.record.hold || queue.isDelivering(id)) return;
    // Those whose next hop refuses our login wait for a person, and so does what was set aside before.
    const ending = this.#late(id, read.record).filter(
      ({ failure, hadItsChance, recipient }) =>
        recipient.state === 'queued' && hadItsChance && failure.cause !== 'login',
    );
    const taken = ending.length > 0 ? spool.load(id) : undefined;
    if (taken?.kind !== 'message') return;
    const gone = new Set(ending.map(({ recipient }) => recipient));
    const verdicts = new Map(
      ending.map(({ recipient, failure }) => [recipient.address, expired(failure)] as const),
    );
    log('expired', { id, to: [...gone].map(({ address }) => address) });
    for (const _ of gone) counters.add('bounced', 'expired');
    await this.#change(id, async (record) => {
      const attempt = { tellsSender: false, now: this.#options.wall() };
      const settlement = applyVerdicts(record, verdicts, attempt);
      this.#tellDiscarded(id, settlement.discarded);
      return this.#told(taken, record, settlement, null);
    });
    queue.renew(id);
  }

  async #warn(id: string): Promise<void> {
    const { spool, queue } = this.#options;
    const read = spool.read(id);
    if (read.kind !== 'message') return;
    const { warned, hold, from } = read.record;
    if (warned || hold || from === '' || queue.isDelivering(id)) return;
    const taken = spool.load(id);
    if (taken.kind !== 'message') return;
    const dsnRecipients = this.#late(id, taken.record)
      .filter(({ recipient: { state, notify } }) => state === 'queued' && notifyWants(notify, 'delay'))
      .map(({ recipient, failure }): DsnRecipient => ({ kind: 'delay', recipient, failure }));
    await this.#change(id, async (now) => {
      const told = await this.#told(taken, now, { left: now.recipients, dsnRecipients }, null);
      return { ...told, record: { ...now, warned: true } };
    });
  }

  /** Each recipient with why it is late. */
  #late(id: string, record: QueueRecord) {
    return record.recipients.map((recipient) => {
      const prospect = this.#options.queue.prospectOf(id, record.from, recipient.address);
      const text = `${prospect.destination} has not taken it yet`;
      const failure = prospect.failure ?? makeFailure({ cause: 'connect', status: '4.4.1', text });
      return { ...prospect, recipient, failure };
    });
  }

  async #told(
    taken: Loaded & { kind: 'message' },
    record: QueueRecord,
    { left, dsnRecipients }: Pick<Settlement, 'left' | 'dsnRecipients'>,
    hop: string | null,
  ): Promise<Changed> {
    const { policy, wall } = this.#options;
    const isSame =
      left.length === record.recipients.length && left.every((one, at) => one === record.recipients[at]);
    const changed = isSame ? record : { ...record, recipients: left };
    const reporting: Reporting = {
      hostname: policy.hostname,
      now: wall(),
      hop,
      willRetryUntil: taken.record.receivedAt + policy.queue.expireAfterSeconds * 1000,
    };
    const news = await reportsOf(taken, dsnRecipients, reporting);
    for (const { id, envelope } of news) {
      const to = envelope.recipients.map(({ address }) => address);
      this.#options.log('returned', { id: taken.id, report: id, to });
    }
    return { record: changed, news };
  }

  #tellDiscarded(id: string, discarded: readonly Recipient[]): void {
    for (const { address } of discarded) {
      this.#options.counters.add('discarded');
      this.#options.log('discarded', {
        id,
        to: address,
        reason: 'its sender cannot, or does not want to, be told',
      });
    }
  }

  async #change(id: string, change: Parameters<Progress['write']>[1]): Promise<Changed | undefined> {
    this.#options.queue.changes(id);
    const changed = await this.#progress.write(id, change);
    for (const { id: report } of changed?.news ?? []) this.#options.queue.add(report);
    return changed;
  }
}

/** The last failure, which is final now. */
function expired(last: Failure): Verdict {
  const text = `Delivery time expired; last reason: ${describeFailure(last)}`;
  return { kind: 'failed', failure: { ...last, permanent: true, status: '5.4.7', text } };
}
