/**
 * Writes a change of a queued message, together with the reports to its sender and the events about it. A failed write
 * is repeated (progress.ts), so a change is computed from the record at the time of the write.
 */
import type { Policy } from '#crds/policyfile.ts';
import { makeReports, type Reporting } from '../dsn/reports.ts';
import type { Log } from '../observe/log.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Loaded, Spool } from '../spool/spool.ts';
import type { Counters } from '../task/counts.ts';
import type { MailEvent, MailRecorder } from './mailevent.ts';
import { type Change, type Changed, Progress } from './progress.ts';
import type { Settlement } from './settlement.ts';

interface ChangesDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly log: Log;
  readonly wall: () => number;
  readonly counters: Counters;
  readonly queue: {
    add(id: string): void;
    /** A change of this message is under way, so its cached content is old. */
    changes(id: string): void;
  };
  /** Absent if nobody wants to know what becomes of mail. */
  readonly recorder?: MailRecorder | undefined;
}

export class Changes {
  readonly #deps: ChangesDeps;
  readonly #progress: Progress;

  constructor(deps: ChangesDeps) {
    this.#deps = deps;
    this.#progress = new Progress(deps.spool, deps.log);
  }

  /** Ends the repetition of failed writes. */
  close(): void {
    this.#progress.close();
  }

  /** Undefined unless a change of this message is being written. Resolves when it is written. */
  pending(id: string): Promise<unknown> | undefined {
    return this.#progress.pending(id);
  }

  /** Keeps the record during a delivery, so that it is not read again. */
  keep(id: string, record: QueueRecord): () => void {
    return this.#progress.keep(id, record);
  }

  /** Resolves with the written change. Undefined if the message is gone. */
  async write(id: string, change: Change): Promise<Changed | undefined> {
    const { queue, recorder } = this.#deps;
    queue.changes(id);
    const changed = await this.#progress.write(id, change);
    for (const { id: report } of changed?.news ?? []) queue.add(report);
    if (changed?.events) recorder?.happened(changed.events);
    return changed;
  }

  /** The change to these recipients, with the reports to the sender. */
  async tell(
    taken: Loaded & { kind: 'message' },
    record: QueueRecord,
    { left, dsnRecipients }: Pick<Settlement, 'left' | 'dsnRecipients'>,
    hop: string | null,
  ): Promise<Changed> {
    const { policy, wall, log } = this.#deps;
    const isSame =
      left.length === record.recipients.length && left.every((one, at) => one === record.recipients[at]);
    const changed = isSame ? record : { ...record, recipients: left };
    if (dsnRecipients.length === 0) return { record: changed, news: [] };
    const reporting: Reporting = { hostname: policy.hostname, now: wall(), hop };
    const news = await makeReports(taken, dsnRecipients, reporting);
    for (const { id, envelope } of news) {
      const to = envelope.recipients.map(({ address }) => address);
      log('returned', { id: taken.id, report: id, to });
    }
    return { record: changed, news };
  }

  tellDiscarded(id: string, discarded: readonly Recipient[]): void {
    for (const { address } of discarded) {
      this.#deps.counters.add('discarded');
      this.#deps.log('discarded', {
        id,
        to: address,
        reason: 'its sender cannot, or does not want to, be told',
      });
    }
  }

  /** Events are made only if somebody wants them. `before`: the record before the change. */
  record(before: QueueRecord, changed: Changed, list: () => readonly MailEvent[]): Changed {
    const { recorder } = this.#deps;
    if (!recorder) return changed;
    const events = list();
    return { ...changed, events, outbox: recorder.encode?.(before, events) ?? [] };
  }
}
