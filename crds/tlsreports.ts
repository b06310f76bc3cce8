/** TLS reports (RFC 8460): what the policy says of the sender of ours. Pure. */
import { domainOf } from './patterns.ts';
import type { Policy } from './policyfile.ts';

/** True if a DKIM key of the relay signs for the sender of the reports. Receivers take no mail report without one. */
export function signsReports({ outbound: { tlsReports, dkim } }: Policy): boolean {
  const from = domainOf(tlsReports?.from ?? '');
  return dkim.some(({ domain, signs }) => signs && (from === domain || from.endsWith(`.${domain}`)));
}
