/** Rules over the fields of spec.dns and what they speak of. They are part of the list in rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';
import { celSeconds } from './tlsrules.ts';
import { parseDuration } from './units.ts';

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;
const LONGEST_TTL_SECONDS = 7 * DAY_SECONDS;
/** RFC 8461 section 3.2 allows a year. */
const LONGEST_AGE_SECONDS = 365 * DAY_SECONDS;

const isBetween = (text: string | undefined, least: number, most: number) => {
  const seconds = text === undefined ? most : (parseDuration(text) ?? Number.NaN);
  return seconds >= least && seconds <= most;
};

const acceptsDomains = ({ inbound }: MailRelaySpec) => (inbound.acceptDomains ?? []).length > 0;

export const DNS_RULES: readonly Rule[] = [
  {
    path: 'spec.dns',
    cel: `!has(self.dns) || !has(self.dns.ttl) || (${celSeconds('self.dns.ttl', MINUTE_SECONDS)} >= ${MINUTE_SECONDS} && ${celSeconds('self.dns.ttl', MINUTE_SECONDS)} <= ${LONGEST_TTL_SECONDS})`,
    message: 'dns.ttl is out of range: choose from 1m to 7d',
    holds: ({ dns }) => isBetween(dns?.ttl, MINUTE_SECONDS, LONGEST_TTL_SECONDS),
  },
  {
    path: 'spec.dns',
    cel: `!has(self.dns) || !has(self.dns.mtaSTS) || !has(self.dns.mtaSTS.maxAge) || ${celSeconds('self.dns.mtaSTS.maxAge', 0)} <= ${LONGEST_AGE_SECONDS}`,
    message: 'dns.mtaSTS.maxAge is longer than senders may keep a policy: choose at most 365d',
    holds: ({ dns }) => isBetween(dns?.mtaSTS?.maxAge, 0, LONGEST_AGE_SECONDS),
  },
  {
    path: 'spec.dns',
    cel: '!has(self.dns) || !has(self.dns.tlsa) || !self.dns.tlsa || (has(self.tls) && (has(self.tls.secretName) || has(self.tls.issuerRef)))',
    message:
      'dns.tlsa publishes the key of the certificate: set tls.secretName or tls.issuerRef, or remove dns.tlsa',
    holds: ({ dns, tls }) =>
      dns?.tlsa !== true || tls?.secretName !== undefined || tls?.issuerRef !== undefined,
  },
  {
    path: 'spec.dns',
    cel: '!has(self.dns) || !(has(self.dns.mtaSTS) || has(self.dns.tlsReports)) || has(self.inbound.acceptDomains)',
    message:
      'dns.mtaSTS and dns.tlsReports are published for the domains that the relay accepts: set inbound.acceptDomains, or remove them',
    holds: (spec) =>
      (spec.dns?.mtaSTS === undefined && spec.dns?.tlsReports === undefined) || acceptsDomains(spec),
  },
];
