/**
 * Fields of a policy that this version does not enforce yet. Each one fails closed. The status and `mailrelay run` name
 * it and say what happens instead. The change that makes a field work removes it from this list. Pure.
 */
import type { Policy } from './policyfile.ts';
import { REPORT_FIELDS } from './reportaddresses.ts';
import { signsReports } from './tlsreports.ts';

type Gap = (policy: Policy) => string[];

const GAPS: readonly Gap[] = [
  // Published policies only ever raise a level, so without them the configured level holds.
  ({ outbound: { discover, resolver } }) =>
    discover.includes('DANE') && resolver?.trustAD !== true
      ? [
          'outbound.tls.discover: DANE is not looked up without DNSSEC, the configured level holds: set outbound.resolver.sidecar, or outbound.resolver with trustAD: true and the loopback address of a validating resolver, or leave DANE out',
        ]
      : [],
  (policy) => {
    const from = policy.outbound.tlsReports?.from;
    return from === undefined || signsReports(policy)
      ? []
      : [
          `outbound.tls.reports: no report goes by mail, because no key of outbound.dkim signs for ${from}: add a key for its domain`,
        ];
  },
  ({ inbound }) =>
    inbound.listeners.every(({ auth }) => auth === 'Required')
      ? REPORT_FIELDS.filter((field) => inbound[field]).map(
          (field) =>
            `inbound.${field}: no report can arrive, because no listener takes mail without a login: add a listener without auth: Required`,
        )
      : [],
];

/** One sentence for each field that is not in force; empty when all are. */
export function fieldsNotInForce(policy: Policy): string[] {
  return GAPS.flatMap((gap) => gap(policy));
}
