/** TLS reports (RFC 8460): what the policy says of the sender of ours, and of the address for those of others. Pure. */
import { compilePatterns, type Matcher } from './patterns.ts';
import type { Policy } from './policyfile.ts';

/**
 * The largest mail at that address. A report of 16 MiB, the most that is unpacked, is far smaller as a mail, and each MiB
 * costs the verifier of signatures a tenth of a second.
 */
export const MOST_REPORT_MAIL_BYTES = 2 * 1024 * 1024;

/** True if a DKIM key of the relay signs for the sender of the reports. Receivers take no mail report without one. */
export function signsReports({ outbound: { tlsReports, dkim } }: Policy): boolean {
  const from = (tlsReports?.from ?? '').split('@').at(-1) ?? '';
  return dkim.some(({ domain, signs }) => signs && (from === domain || from.endsWith(`.${domain}`)));
}

/** Matches the address whose mail ends at the relay, without regard to case. */
export function matchReportAddress({ inbound: { tlsReports } }: Pick<Policy, 'inbound'>): Matcher {
  return compilePatterns(tlsReports === null ? [] : [tlsReports.address]);
}
