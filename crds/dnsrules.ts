/** Rules over the fields of spec.dns and what they speak of. They are part of the list in rules.ts. */
import { LONGEST_TTL_SECONDS } from './dnsrecords.ts';
import { HTTPS_PORT } from './effectivedns.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';
import { celSeconds } from './tlsrules.ts';
import { parseDuration } from './units.ts';
import { ADMIN_PORT, HANDOVER_PORT, POLICY_PORT_NAME, SIDECAR_SERVER, servedPort } from './wellknown.ts';

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;
/** RFC 8461 section 3.2 allows a year. */
const LONGEST_AGE_SECONDS = 365 * DAY_SECONDS;

const isBetween = (text: string | undefined, least: number, most: number) => {
  const seconds = text === undefined ? most : (parseDuration(text) ?? Number.NaN);
  return seconds >= least && seconds <= most;
};

/** With mta-sts. before it, a name has at most 253 characters. */
const LONGEST_SERVED = 253 - 'mta-sts.'.length;

const acceptsDomains = ({ inbound }: MailRelaySpec) => (inbound.acceptDomains ?? []).length > 0;

const TAKEN_PORTS = [ADMIN_PORT, HANDOVER_PORT, SIDECAR_SERVER.port];
const serveOf = ({ dns }: MailRelaySpec) => dns?.mtaSTS?.serve;

const CEL_NOT_SERVED = '!has(self.dns) || !has(self.dns.mtaSTS) || !has(self.dns.mtaSTS.serve)';
const celNamed = (source: string) => `(has(${source}.secretName) || has(${source}.issuerRef))`;
const CEL_PORT = '(has(self.dns.mtaSTS.serve.port) ? self.dns.mtaSTS.serve.port : 443)';
const celServedPort = (port: string) => `(${port} < 1024 ? ${port} + 10000 : ${port})`;

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
  {
    path: 'spec.dns',
    cel: `${CEL_NOT_SERVED} || (has(self.tls) && ${celNamed('self.tls')} && ${celNamed('self.dns.mtaSTS.serve')})`,
    message:
      'dns.mtaSTS.serve needs a certificate with the names mta-sts.DOMAIN, beside that of the relay: set dns.mtaSTS.serve.issuerRef or dns.mtaSTS.serve.secretName, and tls.issuerRef or tls.secretName',
    holds: (spec) =>
      [serveOf(spec), serveOf(spec) && (spec.tls ?? {})].every(
        (source) => !source || source.secretName !== undefined || source.issuerRef !== undefined,
      ),
  },
  {
    path: 'spec.dns',
    cel: `${CEL_NOT_SERVED} || !(${celServedPort(CEL_PORT)} in [${TAKEN_PORTS.join(', ')}]) && self.inbound.listeners.all(l, l.name != '${POLICY_PORT_NAME}' && ${celServedPort('l.port')} != ${celServedPort(CEL_PORT)})`,
    message: `dns.mtaSTS.serve.port, or the name ${POLICY_PORT_NAME} of it, is taken inside the pod by a listener or another part (ports below 1024 are served at 10000 + port): choose another dns.mtaSTS.serve.port, or rename the listener`,
    holds: (spec) => {
      const serve = serveOf(spec);
      const served = servedPort(serve?.port ?? HTTPS_PORT);
      return (
        serve === undefined ||
        (!TAKEN_PORTS.includes(served) &&
          spec.inbound.listeners.every(
            ({ name, port }) => name !== POLICY_PORT_NAME && servedPort(port) !== served,
          ))
      );
    },
  },
  {
    path: 'spec.dns',
    cel: `${CEL_NOT_SERVED} || !has(self.inbound.acceptDomains) || self.inbound.acceptDomains.all(d, d.size() <= ${LONGEST_SERVED})`,
    message:
      'mta-sts.DOMAIN is longer than a name in DNS can be (253 characters): remove the domain from inbound.acceptDomains, or remove dns.mtaSTS.serve',
    holds: (spec) =>
      serveOf(spec) === undefined ||
      (spec.inbound.acceptDomains ?? []).every((domain) => domain.length <= LONGEST_SERVED),
  },
];
