/**
 * The end of mail for inbound.tlsReports.address: each mail is verified, read, counted and kept, or discarded with its
 * reason. The sender of a discarded mail hears nothing, because it can be invented. Only a key that cannot be looked up
 * makes a mail wait. Once a day the sums are told. State survives a restart; a crash repeats a mail, which is then known.
 */
import { readFileSync } from 'node:fs';
import type { TlsReportsDay } from '#crds/podstatus.ts';
import type { AttemptResult, Parcel, Verdict } from '../delivery/courier.ts';
import type { Log } from '../observe/log.ts';
import { writeAtomically } from '../task/atomicfile.ts';
import { findReportPart } from './attachment.ts';
import {
  answerFromHere,
  type LookUpTxt,
  MailProver,
  type ProvenSender,
  type UnreadMail,
  waits,
} from './provenmail.ts';
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
  | UnreadMail;

type DiscardCause = 'not_signed' | 'no_report' | 'too_large' | 'malformed';

const LOOK_MS = 60_000;
const DAY_MS = 86_400_000;

export class ReportInbox {
  readonly #deps: ReportInboxDeps;
  readonly #prover: MailProver;
  readonly #timer: NodeJS.Timeout;
  #received: Received;
  #lastDay: TlsReportsDay;
  #writing: Promise<void> = Promise.resolve();

  /** Reads the file: no other process may use it. */
  constructor(deps: ReportInboxDeps) {
    this.#deps = deps;
    this.#prover = new MailProver({ lookUpTxt: deps.lookUpTxt, service: 'tlsrpt' });
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
    const judged = await this.#prover.judge(parcel, readMail);
    return answerFromHere(parcel, await this.#settle(judged, parcel));
  }

  /** Tells the days that are over. */
  look(): void {
    const { wall, log } = this.#deps;
    const { over, left } = closeDays(this.#received, new Date(wall()));
    for (const day of over) log('tls_reports_of_day', { ...day });
    const yesterday = formatDay(wall() - DAY_MS);
    this.#lastDay = left.told?.day === yesterday ? left.told : emptyDay(yesterday);
    if (over.length > 0) void this.#keep(left);
  }

  /** Mails that are being judged wait in the queue. */
  stop(): void {
    clearInterval(this.#timer);
    this.#prover.stop();
  }

  /** Resolves when the state is on disk. */
  async close(): Promise<void> {
    this.stop();
    await this.#writing;
  }

  async #settle(judged: Judged, { from }: Parcel): Promise<Verdict> {
    const { log, wall, count } = this.#deps;
    if (judged.kind === 'unclear') return waits(judged.reason);
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

function readMail(mail: Buffer, { domain: reporter }: ProvenSender): Judged {
  const part = findReportPart(mail);
  if (!part) return discarded('no_report', 'it has no part of type application/tlsrpt+gzip or tlsrpt+json');
  const read = readReport(part);
  if (read.kind === 'invalid') return discarded(read.cause, read.reason);
  return { kind: 'report', reporter, report: read.report };
}

function discarded(cause: DiscardCause, reason: string): Judged {
  return { kind: 'discarded', cause, reason };
}
