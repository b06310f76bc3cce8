/**
 * Rules about outbound.resolver and what needs it, and the next hops of a spec. They are part of the list in rules.ts.
 */
import type { MailRelaySpec } from './mailrelay.ts';
import { isLoopback, parseServer } from './networks.ts';
import type { Rule } from './rule.ts';
import { SIDECAR_SERVER, servedPort } from './wellknown.ts';

export const everyHop = ({ outbound }: MailRelaySpec) => [
  ...(outbound?.smartHosts ?? []),
  ...(outbound?.routes ?? []).flatMap(({ hosts }) => hosts ?? []),
];

const everyLevel = (spec: MailRelaySpec) => [
  spec.outbound?.tls?.level,
  ...(spec.outbound?.routes ?? []).map(({ tls }) => tls?.level),
  ...everyHop(spec).map(({ tls }) => tls?.level),
];

const sidecarOf = ({ outbound }: MailRelaySpec) => outbound?.resolver?.sidecar;
const trustsAD = (spec: MailRelaySpec) =>
  spec.outbound?.resolver?.trustAD === true || sidecarOf(spec) !== undefined;

/** CEL that is true if `test` is true for every next hop of the spec. In `test`, `h` is the hop. */
export const celEveryHop = (test: string) =>
  [
    `(!has(self.outbound.smartHosts) || self.outbound.smartHosts.all(h, ${test}))`,
    `(!has(self.outbound.routes) || self.outbound.routes.all(r, !has(r.hosts) || r.hosts.all(h, ${test})))`,
  ].join(' && ');

/** CEL that is true if every TLS level of the spec passes a comparison. `is` is the end of the comparison. */
const celEveryLevel = (is: string) =>
  [
    `(!has(self.outbound.tls) || !has(self.outbound.tls.level) || self.outbound.tls.level ${is})`,
    `(!has(self.outbound.routes) || self.outbound.routes.all(r, !has(r.tls) || !has(r.tls.level) || r.tls.level ${is}))`,
    celEveryHop(`!has(h.tls) || !has(h.tls.level) || h.tls.level ${is}`),
  ].join(' && ');

const celResolver = (test: string) => `!has(self.outbound) || !has(self.outbound.resolver) || (${test})`;
const CEL_SIDECAR = 'has(self.outbound.resolver.sidecar)';
const CEL_TRUSTS_AD = `has(self.outbound.resolver) && (${CEL_SIDECAR} || (has(self.outbound.resolver.trustAD) && self.outbound.resolver.trustAD))`;
const celEveryAddress = (test: string) =>
  `!has(self.outbound.resolver.addresses) || self.outbound.resolver.addresses.all(a, ${test})`;
const CEL_PORT = '(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})';
/** The address without brackets and port. A text of another form stays unchanged, and the next test refuses it. */
const CEL_ADDRESS = `(a.matches('^[0-9.]+:${CEL_PORT}$') ? a.substring(0, a.indexOf(':')) : (a.matches('^[[].*[]](:${CEL_PORT})?$') ? a.substring(1, a.indexOf(']')) : a))`;
/** Brackets hold an IPv6 address. */
const CEL_FAMILY = `(!a.startsWith('[') || ${CEL_ADDRESS}.contains(':'))`;

export const RESOLVER_RULES: readonly Rule[] = [
  {
    path: 'spec.outbound',
    cel: celResolver(`has(self.outbound.resolver.addresses) || ${CEL_SIDECAR}`),
    message: 'outbound.resolver names no resolver: set its addresses, or a sidecar',
    holds: (spec) =>
      !spec.outbound?.resolver ||
      spec.outbound.resolver.addresses !== undefined ||
      sidecarOf(spec) !== undefined,
  },
  {
    path: 'spec.outbound',
    cel: celResolver(
      `!${CEL_SIDECAR} || !(has(self.outbound.resolver.addresses) || has(self.outbound.resolver.trustAD))`,
    ),
    message:
      'outbound.resolver.sidecar is the only resolver that is asked, and it is trusted: remove addresses and trustAD beside it, or remove the sidecar',
    holds: (spec) => {
      const { addresses, trustAD } = spec.outbound?.resolver ?? {};
      return sidecarOf(spec) === undefined || (addresses === undefined && trustAD === undefined);
    },
  },
  {
    path: 'spec.inbound.listeners',
    cel: `!has(self.outbound) || !has(self.outbound.resolver) || !${CEL_SIDECAR} || self.inbound.listeners.all(l, (l.port < 1024 ? l.port + 10000 : l.port) != ${SIDECAR_SERVER.port})`,
    message: `port ${SIDECAR_SERVER.port} inside the pod, at which port 53 is served too, is that of outbound.resolver.sidecar: choose another port for the listener`,
    holds: (spec) =>
      sidecarOf(spec) === undefined ||
      spec.inbound.listeners.every(({ port }) => servedPort(port) !== SIDECAR_SERVER.port),
  },
  {
    path: 'spec.outbound',
    cel: celResolver(celEveryAddress(`isIP(${CEL_ADDRESS}) && ${CEL_FAMILY}`)),
    message:
      'an address of outbound.resolver is no IP address with a port: write 127.0.0.1, 127.0.0.1:5353, ::1 or [::1]:5353',
    holds: ({ outbound }) =>
      (outbound?.resolver?.addresses ?? []).every((text) => parseServer(text) !== undefined),
  },
  {
    path: 'spec.outbound',
    cel: celResolver(
      `!has(self.outbound.resolver.trustAD) || !self.outbound.resolver.trustAD || ${celEveryAddress("a.startsWith('127.') || a == '::1' || a == '[::1]' || a.startsWith('[::1]:')")}`,
    ),
    message:
      'outbound.resolver.trustAD believes a flag that anybody on the way can forge: use loopback addresses only (127.0.0.1 or ::1, a validating resolver beside the relay), set a sidecar in their place, or remove trustAD',
    holds: ({ outbound }) =>
      outbound?.resolver?.trustAD !== true || (outbound.resolver.addresses ?? []).every(isLoopback),
  },
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || (${CEL_TRUSTS_AD}) || (${celEveryLevel("!= 'Dane'")})`,
    message:
      'TLS level Dane needs DNSSEC: set outbound.resolver.sidecar, or outbound.resolver with trustAD: true and the loopback address of a validating resolver, or use Verify',
    holds: (spec) => trustsAD(spec) || everyLevel(spec).every((level) => level !== 'Dane'),
  },
];
