/**
 * TLS reports (RFC 8460) of one relay: counts the sessions of deliveries by day and policy domain, and after each day
 * sends a report to each domain that wants one, at a random time within four hours. Each pod reports its own part under
 * its own id. What cannot be sent is tried again every hour for a day. The counts survive a restart (file.ts).
 */
import type { TlsSession } from '../delivery/tlssession.ts';
import type { Log } from '../observe/log.ts';
import { within } from '../task/within.ts';
import { TallyFile } from './file.ts';
import { Outbox, type OutboxDeps } from './outbox.ts';
import { readTargets } from './record.ts';
import { judgeSession } from './results.ts';
import { type DomainTally, formatDay, Tally } from './tally.ts';

export interface TlsReportsDeps extends Omit<OutboxDeps, 'instance'> {
  /** The file of the counts. */
  readonly path: string;
  readonly log: Log;
  readonly random: () => number;
  /** The TXT records of a name; none if there are none. Rejects if the look-up fails. */
  readonly lookUpTxt: (name: string) => Promise<readonly string[][]>;
  readonly count: (result: 'sent' | 'delayed' | 'failed', by: 'https' | 'mailto') => void;
}

/** Between two looks for reports that are due, and between two writes of the counts. */
const LOOK_MS = 60_000;
const RETRY_MS = 3_600_000;
const MOST_TRIES = 24;
const DOMAINS_AT_A_TIME = 20;
/** Of the record of a domain, with the wait for a place at the name server. */
const LOOK_UP_MS = 5 * 60_000;

export class TlsReports {
  readonly #deps: TlsReportsDeps;
  readonly #file: TallyFile;
  readonly #tally: Tally;
  readonly #instance: string;
  readonly #outbox: Outbox;
  readonly #timer: NodeJS.Timeout;
  #isChanged = false;
  #looking: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #fullDay = '';

  /** Reads the counts: no other process may use the file. */
  constructor(deps: TlsReportsDeps) {
    this.#deps = deps;
    const onError = ({ message }: Error) => deps.log('not_kept', { what: 'tlsrpt.json', message });
    this.#file = new TallyFile(deps.path, onError);
    const { instance, days } = this.#file.read();
    this.#instance = instance;
    this.#tally = new Tally(days, deps);
    this.#outbox = new Outbox({ ...deps, instance });
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    void this.look();
  }

  /** Counts a session of a delivery. */
  seen(session: TlsSession): void {
    const result = judgeSession(session);
    if (!result) return;
    this.#isChanged = true;
    if (!this.#tally.add(result, session)) this.#tellFull();
  }

  /** Sends what is due, and writes the counts. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Waits for no stranger. Resolves when the counts are on disk. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#timer);
    this.#outbox.close();
    await this.#looking;
    this.#isChanged = true;
    await this.#write();
  }

  async #look(): Promise<void> {
    const due = this.#listDue();
    for (let at = 0; at < due.length && !this.#closing.signal.aborted; at += DOMAINS_AT_A_TIME) {
      const batch = due.slice(at, at + DOMAINS_AT_A_TIME);
      await Promise.all(batch.map(({ day, domain, tally }) => this.#report(day, domain, tally)));
      this.#isChanged = true;
      // A report that was sent is not sent again after a crash.
      await this.#write();
    }
    await this.#write();
  }

  #listDue(): { day: string; domain: string; tally: DomainTally }[] {
    const now = this.#deps.wall();
    return Object.entries(this.#tally.days)
      .filter(([day, { dueAt }]) => day < formatDay(now) && dueAt <= now)
      .flatMap(([day, { domains }]) =>
        Object.entries(domains)
          .filter(([, { nextAt = 0 }]) => nextAt <= now)
          .map(([domain, tally]) => ({ day, domain, tally })),
      );
  }

  async #report(day: string, domain: string, tally: DomainTally): Promise<void> {
    tally.tries = (tally.tries ?? 0) + 1;
    tally.nextAt = this.#deps.wall() + RETRY_MS;
    const isLast = tally.tries >= MOST_TRIES;
    const targets = tally.pending ?? (await this.#findTargets(domain));
    if (targets) tally.pending = [];
    for (const uri of targets ?? []) {
      const isDone = await this.#send(uri, { day, domain, policies: tally.policies }, isLast);
      if (!isDone) tally.pending?.push(uri);
    }
    if (isLast || tally.pending?.length === 0) this.#tally.forget(day, domain);
  }

  /** Undefined if the look-up failed, or did not end in time. */
  async #findTargets(domain: string): Promise<string[] | undefined> {
    try {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LOOK_UP_MS)]);
      const records = await within(signal, this.#deps.lookUpTxt(`_smtp._tls.${domain}`));
      return records && readTargets(records);
    } catch {
      return undefined;
    }
  }

  /** True if there is nothing more to do for this target. */
  async #send(uri: string, letter: Parameters<Outbox['send']>[1], isLast: boolean): Promise<boolean> {
    const { log, count } = this.#deps;
    const by = /^mailto:/i.test(uri) ? 'mailto' : 'https';
    const { day, domain, policies } = letter;
    if (this.#closing.signal.aborted) return false;
    const sent = await this.#outbox.send(uri, letter);
    if (sent.kind === 'sent') {
      count('sent', by);
      log('tls_report', { domain, day, target: uri, ...summarize(policies) });
      return true;
    }
    const isOver = sent.permanent || isLast;
    if (this.#closing.signal.aborted) return false;
    count(isOver ? 'failed' : 'delayed', by);
    log('tls_report_failed', { domain, day, target: uri, reason: sent.reason, willRetry: !isOver });
    return isOver;
  }

  /** Once a day. */
  #tellFull(): void {
    const day = formatDay(this.#deps.wall());
    if (this.#fullDay === day) return;
    this.#fullDay = day;
    this.#deps.log('tls_report_incomplete', { day });
  }

  async #write(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    await this.#file.write({ instance: this.#instance, days: this.#tally.days });
  }
}

function summarize(policies: DomainTally['policies']): { successes: number; failures: number } {
  const sum = (field: 'total-successful-session-count' | 'total-failure-session-count') =>
    policies.reduce((all, { summary }) => all + summary[field], 0);
  return { successes: sum('total-successful-session-count'), failures: sum('total-failure-session-count') };
}
