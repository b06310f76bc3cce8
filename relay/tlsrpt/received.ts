/**
 * The TLS reports of others that a relay keeps: the last ones, cut to bounds, the sums of each day, and the domains that
 * have a metric of their own. Everything is bounded, because anybody with a domain can send reports. Pure: the caller
 * keeps the file (inbox.ts), and `mailrelay tlsrpt received` reads it.
 */
import { z } from 'zod';
import { fitter } from '#crds/fit.ts';
import type { TlsReportsDay } from '#crds/podstatus.ts';
import { failureDetails, RESULT_TYPES, type TlsReport } from './report.ts';

export const RECEIVED_FILE = 'tlsrpt-received.json';

const MOST_REPORTS = 200;
const MOST_BYTES = 1024 * 1024;
const MOST_REPORTERS = 50;
/** A domain that was silent for so long makes room for another one. */
const SILENT_DAYS = 30;
const DAY_MS = 86_400_000;

const text = z.string().max(200);
const texts = z.array(text).max(10);
const count = z.int().min(0);

const keptReport = z.object({
  'organization-name': text,
  'date-range': z.object({ 'start-datetime': text, 'end-datetime': text }),
  'contact-info': text.optional(),
  'report-id': text,
  policies: z
    .array(
      z.object({
        policy: z.object({
          'policy-type': z.enum(['tlsa', 'sts', 'no-policy-found']),
          'policy-string': texts.optional(),
          'policy-domain': text,
          'mx-host': texts.optional(),
        }),
        summary: z.object({ 'total-successful-session-count': count, 'total-failure-session-count': count }),
        'failure-details': z.array(failureDetails(text)).max(20).optional(),
      }),
    )
    .max(20),
});
const fit = fitter(keptReport);

const day = z.object({
  day: z.string(),
  reports: count,
  discarded: count,
  successes: count,
  failures: count,
});

const received = z.object({
  format: z.literal(1),
  /** The latest last. */
  reports: z.array(z.object({ receivedAt: z.string(), reporter: z.string(), report: keptReport })),
  /** Today, and days that were not told yet. */
  days: z.array(day),
  /** The last day that was told. A relay that starts again tells its sums once more. */
  told: day.optional(),
  /** By domain: the last day on which it sent a report. */
  reporters: z.record(z.string(), z.string()),
});

export type Received = z.infer<typeof received>;
export type ReceivedReport = Received['reports'][number];

export const NOTHING_RECEIVED: Received = { format: 1, reports: [], days: [], reporters: {} };

/** Throws if the text is not that of a file of this version. */
export function parseReceived(text: string): Received {
  return received.parse(JSON.parse(text));
}

export interface Arrived {
  readonly now: Date;
  /** The domain that signed. */
  readonly reporter: string;
  readonly report: TlsReport;
}

/** The queue delivers at least once, and so may the sender. */
export function isKnown({ reports }: Received, { reporter, report }: Omit<Arrived, 'now'>): boolean {
  const id = cut(report).report['report-id'];
  return reports.some((one) => one.reporter === reporter && one.report['report-id'] === id);
}

export function addReport(before: Received, { now, reporter, report }: Arrived): Received {
  const today = now.toISOString().slice(0, 10);
  const one = { receivedAt: now.toISOString(), reporter, ...cut(report) };
  const { successes, failures } = sumSessions(report);
  return {
    ...before,
    reports: latest([...before.reports, one]),
    days: addToDay(before.days, { ...emptyDay(today), reports: 1, successes, failures }),
    reporters: remember(before.reporters, reporter, now),
  };
}

export function addDiscarded(before: Received, now: Date): Received {
  const today = now.toISOString().slice(0, 10);
  return { ...before, days: addToDay(before.days, { ...emptyDay(today), discarded: 1 }) };
}

/** Takes out the days that are over. Each is told once, and the last one is kept. */
export function closeDays(before: Received, now: Date): { over: TlsReportsDay[]; left: Received } {
  const today = now.toISOString().slice(0, 10);
  const over = before.days.filter((one) => one.day < today);
  const told = over.at(-1) ?? before.told;
  const days = before.days.filter((one) => one.day >= today);
  return { over, left: { ...before, days, ...(told ? { told } : {}) } };
}

export function emptyDay(name: string): TlsReportsDay {
  return { day: name, reports: 0, discarded: 0, successes: 0, failures: 0 };
}

/** A metric label: few domains have their own. */
export function labelReporter({ reporters }: Received, reporter: string): string {
  return Object.hasOwn(reporters, reporter) ? reporter : 'other';
}

/** By result type. Failures that have no details, or types that the RFC does not name, are "unspecified". */
export function countResults(report: TlsReport): Map<string, number> {
  const results = new Map<string, number>();
  const add = (result: string, sessions: number) => {
    if (sessions > 0) results.set(result, safe((results.get(result) ?? 0) + sessions));
  };
  for (const { summary, 'failure-details': details = [] } of report.policies) {
    add('success', summary['total-successful-session-count']);
    let left = summary['total-failure-session-count'];
    for (const { 'result-type': type, 'failed-session-count': sessions } of details) {
      const known = (RESULT_TYPES as readonly string[]).includes(type);
      // The details of a report must not sum up to more than its total.
      const counted = Math.min(sessions, left);
      left -= counted;
      add(known ? type : 'unspecified', counted);
    }
    add('unspecified', left);
  }
  return results;
}

export function sumSessions(report: TlsReport): { successes: number; failures: number } {
  const { success: successes = 0, ...failed } = Object.fromEntries(countResults(report));
  const failures = Object.values(failed).reduce((all, sessions) => safe(all + sessions), 0);
  return { successes, failures };
}

function cut(report: TlsReport): Pick<ReceivedReport, 'report'> {
  return { report: keptReport.parse(fit(report)) };
}

function latest(reports: readonly ReceivedReport[]): ReceivedReport[] {
  const kept: ReceivedReport[] = [];
  let bytes = 0;
  for (const one of reports.slice(-MOST_REPORTS).toReversed()) {
    bytes += JSON.stringify(one).length;
    if (bytes > MOST_BYTES) break;
    kept.unshift(one);
  }
  return kept;
}

function addToDay(days: readonly TlsReportsDay[], more: TlsReportsDay): TlsReportsDay[] {
  const before = days.find((one) => one.day === more.day) ?? emptyDay(more.day);
  const sum = (field: Exclude<keyof TlsReportsDay, 'day'>) => safe(before[field] + more[field]);
  const added = {
    day: more.day,
    reports: sum('reports'),
    discarded: sum('discarded'),
    successes: sum('successes'),
    failures: sum('failures'),
  };
  return [...days.filter((one) => one.day !== more.day), added];
}

function remember(before: Received['reporters'], reporter: string, now: Date): Received['reporters'] {
  const since = new Date(now.getTime() - SILENT_DAYS * DAY_MS).toISOString().slice(0, 10);
  const heard = Object.entries(before).filter(([name, last]) => last >= since || name === reporter);
  const known = new Map(heard);
  if (known.has(reporter) || known.size < MOST_REPORTERS) known.set(reporter, now.toISOString().slice(0, 10));
  return Object.fromEntries(known);
}

function safe(sum: number): number {
  return Math.min(sum, Number.MAX_SAFE_INTEGER);
}
