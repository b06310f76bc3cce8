/**
 * The sessions of each day (UTC), by the domain of the mail, as they will be reported. What one domain may take is bounded, and so
 * is everything together: where a domain has no room for a failure of its own, it is counted without its host; sessions
 * for which there is no room at all are left out. The caller keeps the days on disk (file.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import type { PolicyReport } from './report.ts';
import type { Result } from './results.ts';

export interface DomainTally {
  readonly policies: PolicyReport[];
  /** Where the report still has to go. Absent: the record of the domain was not looked up yet. */
  pending?: string[];
  /** The next try, in milliseconds since the epoch. Absent: at once. */
  nextAt?: number;
  tries?: number;
}

interface DayTally {
  /** When the reports of this day begin, in milliseconds since the epoch. */
  readonly dueAt: number;
  readonly domains: Record<string, DomainTally>;
}

/** By date: "2026-11-28". */
export type Days = Record<string, DayTally>;

const DAY_MS = 86_400_000;
/** RFC 8460 section 4.1: not all senders at midnight. */
const SPREAD_MS = 4 * 3_600_000;
const MOST_BYTES_PER_DOMAIN = 48 * 1024;
const MOST_BYTES = 8 * 1024 * 1024;
/** Failures that are counted without their host: one for each result type and code. */
const RESERVED_BYTES = 4 * 1024;

export interface TallyDeps {
  readonly wall: () => number;
  readonly random: () => number;
}

export interface Place {
  readonly mxHost: string;
  readonly address: string | null;
}

type Failure = NonNullable<PolicyReport['failure-details']>[number];
type FailureFacts = Omit<Failure, 'failed-session-count'>;

export class Tally {
  readonly days: Days;
  readonly #deps: TallyDeps;
  readonly #bytes = new Map<DomainTally, number>();
  #allBytes = 0;

  constructor(days: Days, deps: TallyDeps) {
    this.days = days;
    this.#deps = deps;
    for (const { domains } of Object.values(days))
      for (const [domain, tally] of Object.entries(domains)) this.#grow(tally, countEntry(domain, tally));
  }

  /** False if there is no room for the session. */
  add({ domain, policy, failure }: Result, place: Place): boolean {
    const day = formatDay(this.#deps.wall());
    const tally = this.days[day]?.domains[domain] ?? this.#begin(day, domain, policy);
    const reported = tally && this.#policy(tally, policy);
    if (!reported) return false;
    const { summary } = reported;
    if (failure === null) {
      summary['total-successful-session-count'] += 1;
      return true;
    }
    summary['total-failure-session-count'] += 1;
    const facts = {
      'result-type': failure.type,
      ...(failure.code === undefined ? {} : { 'failure-reason-code': failure.code }),
    };
    const where = {
      'receiving-mx-hostname': place.mxHost,
      ...(place.address === null ? {} : { 'receiving-ip': place.address }),
    };
    if (!this.#count(tally, reported, { ...facts, ...where }, RESERVED_BYTES))
      this.#count(tally, reported, facts, 0);
    return true;
  }

  /** The domain was reported, or wants no reports. */
  forget(day: string, domain: string): void {
    const tally = this.days[day]?.domains[domain];
    if (!tally) return;
    this.#allBytes -= this.#bytes.get(tally) ?? 0;
    this.#bytes.delete(tally);
    delete this.days[day]?.domains[domain];
    if (Object.keys(this.days[day]?.domains ?? {}).length === 0) delete this.days[day];
  }

  /** Undefined if there is no room: then nothing is left of the domain, which would get a report without policies. */
  #begin(day: string, domain: string, policy: PolicyReport['policy']): DomainTally | undefined {
    const tally: DomainTally = { policies: [begin(policy)] };
    const bytes = countEntry(domain, tally);
    if (!this.#hasRoom(tally, bytes, RESERVED_BYTES)) return undefined;
    this.#grow(tally, bytes);
    this.days[day] ??= { dueAt: findDayEnd(day) + this.#deps.random() * SPREAD_MS, domains: {} };
    this.days[day].domains[domain] = tally;
    return tally;
  }

  #policy(tally: DomainTally, policy: PolicyReport['policy']): PolicyReport | undefined {
    const known = tally.policies.find((one) => isDeepStrictEqual(one.policy, policy));
    if (known) return known;
    const made = begin(policy);
    if (!this.#hasRoom(tally, countBytes(made), RESERVED_BYTES)) return undefined;
    this.#grow(tally, countBytes(made));
    tally.policies.push(made);
    return made;
  }

  #count(tally: DomainTally, reported: PolicyReport, facts: FailureFacts, reserve: number): boolean {
    reported['failure-details'] ??= [];
    const known = reported['failure-details'].find((one) => isSameFailure(one, facts));
    if (known) {
      known['failed-session-count'] += 1;
      return true;
    }
    const made = { ...facts, 'failed-session-count': 1 };
    if (!this.#hasRoom(tally, countBytes(made), reserve)) return false;
    this.#grow(tally, countBytes(made));
    reported['failure-details'].push(made);
    return true;
  }

  #hasRoom(tally: DomainTally, bytes: number, reserve: number): boolean {
    const own = (this.#bytes.get(tally) ?? 0) + bytes + reserve;
    return own <= MOST_BYTES_PER_DOMAIN && this.#allBytes + bytes + reserve <= MOST_BYTES;
  }

  #grow(tally: DomainTally, bytes: number): void {
    this.#bytes.set(tally, (this.#bytes.get(tally) ?? 0) + bytes);
    this.#allBytes += bytes;
  }
}

function begin(policy: PolicyReport['policy']): PolicyReport {
  return {
    policy,
    summary: { 'total-successful-session-count': 0, 'total-failure-session-count': 0 },
  };
}

function isSameFailure(one: FailureFacts, other: FailureFacts): boolean {
  return (
    one['result-type'] === other['result-type'] &&
    one['failure-reason-code'] === other['failure-reason-code'] &&
    one['receiving-mx-hostname'] === other['receiving-mx-hostname'] &&
    one['receiving-ip'] === other['receiving-ip']
  );
}

/** The UTC date. */
export function formatDay(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

/** The first moment after a day, in milliseconds since the epoch. */
export function findDayEnd(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + DAY_MS;
}

function countEntry(domain: string, tally: DomainTally): number {
  return domain.length + countBytes(tally);
}

function countBytes(value: unknown): number {
  return JSON.stringify(value).length;
}
