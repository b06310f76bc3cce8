/** The addresses whose mail ends at the relay, because the relay reads it: reports of other mail systems. Pure. */
import { compilePatterns, type Matcher } from './patterns.ts';
import type { Policy } from './policyfile.ts';

/** Fields of `inbound`. */
export const REPORT_FIELDS = ['tlsReports', 'feedbackReports'] as const;
export type ReportField = (typeof REPORT_FIELDS)[number];

type Addresses = Pick<Policy, 'inbound'>;

/**
 * The largest mail at such an address. A TLS report of 16 MiB, the most that is unpacked, is far smaller as a mail, and
 * each MiB costs the verifier of signatures a tenth of a second.
 */
export const MOST_REPORT_MAIL_BYTES = 2 * 1024 * 1024;

/** Finds the field that has an address, without regard to case. Undefined for every other address. */
export function compileReportFields({ inbound }: Addresses): (address: string) => ReportField | undefined {
  const matchers = REPORT_FIELDS.flatMap((field) => {
    const terms = inbound[field];
    return terms ? [{ field, matches: compilePatterns([terms.address]) }] : [];
  });
  return (address) => matchers.find(({ matches }) => matches(address))?.field;
}

/** Matches the addresses whose mail ends at the relay. */
export function matchReportAddress(policy: Addresses): Matcher {
  const findField = compileReportFields(policy);
  return (address) => findField(address) !== undefined;
}
