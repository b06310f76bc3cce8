/**
 * The end of mail for inbound.tlsReports.address: each mail is verified, read, counted and kept, or discarded with its
 * reason. The sender of a discarded mail hears nothing, because it can be invented. Only a key that cannot be looked up
 * makes a mail wait. Once a day the sums are told. State survives a restart; a crash repeats a mail, which is then known.
 */
import { readFileSync } from 'node:fs';
import { makeFailure } from '#crds/failure.ts';
import type { TlsReportsDay } from '#crds/podstatus.ts';
import { MOST_REPORT_MAIL_BYTES } from '#crds/tlsreports.ts';
import type { AttemptResult, Parcel, Verdict } from '../delivery/courier.ts';
import { Slots } from '../mtasts/slots.ts';
import type { Log } from '../observe/log.ts';
import { writeAtomically } from '../task/atomicfile.ts';
import { within } from '../task/within.ts';
import { findReportPart } from './attachment.ts';
import {
  type Arrived,
  addDiscarded,
  addReport,
  closeDays,
  countResults,
  emptyDay,
  isKnown,
  labelReporter,
  NOTHING_RECEIVED,
  parseReceived,
  RECEIVED_FILE,
  type Received,
  sumSessions,
} from './received.ts';
import { readReport } from './report.ts';
import { findReporter, type LookUpTxt } from './signature.ts';
import { formatDay } from './tally.ts';

export interface ReportInboxDeps {
  readonly path: string;
  readonly wall: () => number;
  readonly log: Log;
  readonly lookUpTxt: LookUpTxt;
  readonly count: (name: 'tls_reports_received' | 'tls_report_sessions', label: string, by?: number) => void;
}

type Judged =
  | ({ readonly kind: 'report' } & Omit<Arrived, 'now'>)
  | { readonly kind: 'discarded'; readonly cause: DiscardCause; readonly reason: string }
  | { readonly kind: 'unclear'; readonly reason: string };

type DiscardCause = 'not_signed' | 'no_report' | 'too_large' | 'malformed';

/** Each holds one mail in memory. */
const MAILS_AT_A_TIME = 4;
/** For the place among these, and for the keys. */
const JUDGE_MS = 60_000;
const LOOK_MS = 60_000;
const DAY_MS = 86_400_000;

export class ReportInbox {
  readonly #deps: ReportInboxDeps;
  readonly #slots = new Slots(MAILS_AT_A_TIME);
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #received: Received;
  #lastDay: TlsReportsDay;
  #writing: Promise<void> = Promise.resolve();

  /** Reads the file: no other process may use it. */
  constructor(deps: ReportInboxDeps) {
    this.#deps = deps;
    this.#received = this.#read();
    this.#lastDay = emptyDay('');
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** The sums of yesterday. */
  get lastDay(): TlsReportsDay {
    return this.#lastDay;
  }

  /** Takes one mail. Rejects if its body cannot be read. */
  async take(parcel: Parcel): Promise<AttemptResult> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(JUDGE_MS)]);
    const judged = await this.#slots.run(signal, () => this.#judge(parcel, signal));
    const verdict = await this.#settle(
      judged ?? { kind: 'unclear', reason: 'other mails come first' },
      parcel,
    );
    const verdicts = parcel.to.map(() => verdict);
    // The sender wants no DSN, or cannot be trusted with one: it counts as told.
    return { kind: 'answered', hop: 'this relay', verdicts, tls: null, tellsSender: true, passedOver: [] };
  }

  /** Tells the days that are over. */
  look(): void {
    const { wall, log } = this.#deps;
    const { over, left } = closeDays(this.#received, new Date(wall()));
    for (const day of over) log('tls_reports_of_day', { ...day });
    const yesterday = formatDay(wall() - DAY_MS);
    const told = over.find(({ day }) => day === yesterday);
    if (told || this.#lastDay.day !== yesterday) this.#lastDay = told ?? emptyDay(yesterday);
    if (over.length > 0) void this.#keep(left);
  }

  /** Mails that are being judged wait in the queue. */
  stop(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }

  /** Resolves when the state is on disk. */
  async close(): Promise<void> {
    this.stop();
    await this.#writing;
  }

  async #judge(parcel: Parcel, signal: AbortSignal): Promise<Judged> {
    const mail = await collect(parcel.body());
    if (!mail) return discarded('too_large', 'the mail is larger than 2 MiB');
    const sender = await within(signal, findReporter(mail, this.#deps.lookUpTxt));
    if (!sender) return { kind: 'unclear', reason: 'the look-up of its DKIM key takes too long' };
    if (sender.kind === 'unclear') return sender;
    if (sender.kind === 'unknown') return discarded('not_signed', sender.reason);
    const part = findReportPart(mail);
    if (!part) return discarded('no_report', 'it has no part of type application/tlsrpt+gzip or tlsrpt+json');
    const read = readReport(part);
    if (read.kind === 'invalid') return discarded(read.cause, read.reason);
    return { kind: 'report', reporter: sender.domain, report: read.report };
  }

  async #settle(judged: Judged, { from }: Parcel): Promise<Verdict> {
    const { log, wall, count } = this.#deps;
    if (judged.kind === 'unclear')
      return {
        kind: 'failed',
        failure: makeFailure({ cause: 'dns', status: '4.7.5', text: judged.reason }),
      };
    const now = new Date(wall());
    if (judged.kind === 'discarded') {
      const { cause, reason } = judged;
      log('tls_report_discarded', { from, cause, reason });
      count('tls_reports_received', cause);
      await this.#keep(addDiscarded(this.#received, now));
      return { kind: 'delivered', reply: `250 2.0.0 discarded: ${reason}` };
    }
    if (isKnown(this.#received, judged)) {
      count('tls_reports_received', 'duplicate');
      return { kind: 'delivered', reply: '250 2.0.0 this report is known' };
    }
    await this.#take({ ...judged, now });
    return { kind: 'delivered', reply: `250 2.0.0 report of ${judged.reporter} taken` };
  }

  async #take(arrived: Arrived): Promise<void> {
    const { log, count } = this.#deps;
    const { reporter, report } = arrived;
    const kept = this.#keep(addReport(this.#received, arrived));
    const range = report['date-range'];
    log('tls_report_received', {
      reporter,
      organization: report['organization-name'],
      reportId: report['report-id'],
      begin: range['start-datetime'],
      end: range['end-datetime'],
      ...sumSessions(report),
    });
    count('tls_reports_received', 'taken');
    const label = labelReporter(this.#received, reporter);
    for (const [result, sessions] of countResults(report))
      count('tls_report_sessions', `${label},${result}`, sessions);
    await kept;
  }

  #read(): Received {
    try {
      return parseReceived(readFileSync(this.#deps.path, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#tellNotKept(error as Error);
      return NOTHING_RECEIVED;
    }
  }

  /** Resolves when the state is on disk, or could not be written: that costs only counts. */
  #keep(next: Received): Promise<void> {
    this.#received = next;
    const text = JSON.stringify(next);
    this.#writing = this.#writing
      .then(() => writeAtomically(this.#deps.path, text))
      .catch((error) => this.#tellNotKept(error));
    return this.#writing;
  }

  #tellNotKept({ message }: Error): void {
    this.#deps.log('not_kept', { what: RECEIVED_FILE, message });
  }
}

function discarded(cause: DiscardCause, reason: string): Judged {
  return { kind: 'discarded', cause, reason };
}

/** Undefined if it is too large. */
async function collect(body: ReturnType<Parcel['body']>): Promise<Buffer | undefined> {
  if (Buffer.isBuffer(body)) return body.length > MOST_REPORT_MAIL_BYTES ? undefined : body;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MOST_REPORT_MAIL_BYTES) return undefined;
    // A piece is valid until the next one.
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}
