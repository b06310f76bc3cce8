/**
 * What spans several fields of a MailRelay. Each rule is written once as CEL, for the API server, and once as a
 * predicate, for `mailrelay run` and `lint`, side by side under one message that names the cure; a test on a real API
 * server holds the two against each other. Transition rules compare with the stored object and exist only as CEL.
 * Rules may rely on the shapes and bounds of mailrelay.ts: they run after them.
 */
import { BlockList } from 'node:net';
import type { MailRelaySpec } from './mailrelay.ts';
import { networkOf } from './networks.ts';
import { ADMIN_PORT, servedPort } from './wellknown.ts';

export interface Rule {
  /** Where the API server reports it, below the MailRelay. */
  readonly path: string;
  /** True when the object is fine. `self` is the spec. */
  readonly cel: string;
  readonly message: string;
  readonly holds: (spec: MailRelaySpec) => boolean;
}

const enabledListeners = ({ inbound }: MailRelaySpec) =>
  inbound.enabled === false ? [] : inbound.listeners.filter(({ enabled }) => enabled !== false);

const starttlsOf = ({ inbound }: MailRelaySpec, listener: { starttls?: string | undefined }) =>
  listener.starttls ?? inbound.starttls ?? 'Enabled';

const everyHop = ({ outbound }: MailRelaySpec) => [
  ...(outbound?.smartHosts ?? []),
  ...(outbound?.routes ?? []).flatMap(({ hosts }) => hosts),
];

const everyLevel = (spec: MailRelaySpec) => [
  spec.outbound?.tls?.level,
  ...(spec.outbound?.routes ?? []).map(({ tls }) => tls?.level),
  ...everyHop(spec).map(({ tls }) => tls?.level),
];

const unique = (values: readonly unknown[]) => new Set(values).size === values.length;

// The same notions in CEL. `l` is a listener.
const CEL_STARTTLS =
  "(has(l.starttls) ? l.starttls : (has(self.inbound.starttls) ? self.inbound.starttls : 'Enabled'))";
const CEL_IMPLICIT = '(has(l.implicitTLS) && l.implicitTLS)';
const CEL_OFF = '((has(l.enabled) && !l.enabled) || (has(self.inbound.enabled) && !self.inbound.enabled))';
const CEL_AUTH = "(has(l.auth) && l.auth != 'Disabled')";

/** CEL over every TLS level of the spec: `test` is written over `level`. */
const celEveryLevel = (is: string) =>
  [
    `(!has(self.outbound.tls) || !has(self.outbound.tls.level) || self.outbound.tls.level ${is})`,
    `(!has(self.outbound.smartHosts) || self.outbound.smartHosts.all(h, !has(h.tls) || h.tls.level ${is}))`,
    `(!has(self.outbound.routes) || self.outbound.routes.all(r, (!has(r.tls) || r.tls.level ${is}) && r.hosts.all(h, !has(h.tls) || h.tls.level ${is})))`,
  ].join(' && ');

export const RULES: readonly Rule[] = [
  {
    path: 'spec',
    cel: `(has(self.tls) && (has(self.tls.secretName) || has(self.tls.issuerRef))) || (self.inbound.listeners.all(l, ${CEL_OFF} || (!${CEL_IMPLICIT} && ${CEL_STARTTLS} == 'Disabled')) && (!has(self.inbound.clientPolicies) || self.inbound.clientPolicies.all(p, p.starttls == 'Disabled')))`,
    message:
      'TLS needs a certificate: set spec.tls.secretName (a kubernetes.io/tls Secret) or spec.tls.issuerRef (a cert-manager issuer), or set starttls: Disabled on every listener and client policy',
    holds: (spec) =>
      spec.tls?.secretName !== undefined ||
      spec.tls?.issuerRef !== undefined ||
      (enabledListeners(spec).every((l) => l.implicitTLS !== true && starttlsOf(spec, l) === 'Disabled') &&
        (spec.inbound.clientPolicies ?? []).every(({ starttls }) => starttls === 'Disabled')),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, !(${CEL_IMPLICIT} && has(l.starttls)))`,
    message:
      'a listener with implicitTLS is encrypted from the first byte: remove its starttls, or its implicitTLS',
    holds: (spec) =>
      spec.inbound.listeners.every((l) => !(l.implicitTLS === true && l.starttls !== undefined)),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, !${CEL_AUTH} || ${CEL_IMPLICIT} || ${CEL_STARTTLS} != 'Disabled')`,
    message:
      'logins need TLS: set starttls: Enabled or Required, or implicitTLS: true, on every listener with auth',
    holds: (spec) =>
      spec.inbound.listeners.every(
        (l) =>
          (l.auth ?? 'Disabled') === 'Disabled' ||
          l.implicitTLS === true ||
          starttlsOf(spec, l) !== 'Disabled',
      ),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, !${CEL_AUTH}) || (has(self.inbound.clients) && has(self.inbound.clients.credentialsSecretName))`,
    message: 'a listener with auth needs users: set inbound.clients.credentialsSecretName, or remove auth',
    holds: (spec) =>
      spec.inbound.listeners.every((l) => (l.auth ?? 'Disabled') === 'Disabled') ||
      spec.inbound.clients?.credentialsSecretName !== undefined,
  },
  {
    path: 'spec.inbound.listeners',
    cel: 'self.inbound.listeners.all(l, self.inbound.listeners.exists_one(m, m.name == l.name))',
    message: 'two listeners have the same name: give each its own',
    holds: (spec) => unique(spec.inbound.listeners.map(({ name }) => name)),
  },
  {
    path: 'spec.inbound.listeners',
    cel: 'self.inbound.listeners.all(l, self.inbound.listeners.exists_one(m, (m.port < 1024 ? m.port + 10000 : m.port) == (l.port < 1024 ? l.port + 10000 : l.port)))',
    message:
      'two listeners share a port: give each its own (ports below 1024 are served at 10000 + port inside the pod, so 25 also takes 10025)',
    holds: (spec) => unique(spec.inbound.listeners.map(({ port }) => servedPort(port))),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, l.port != ${ADMIN_PORT})`,
    message: `port ${ADMIN_PORT} serves health and metrics inside the pod: choose another port for the listener`,
    holds: (spec) => spec.inbound.listeners.every(({ port }) => port !== ADMIN_PORT),
  },
  {
    path: 'spec.inbound',
    cel: '(!has(self.inbound.clientPolicies) || self.inbound.clientPolicies.all(p, p.networks.all(n, isCIDR(n) || isIP(n)))) && (!has(self.inbound.clients) || !has(self.inbound.clients.networks) || self.inbound.clients.networks.all(n, isCIDR(n) || isIP(n)))',
    message:
      'a client network is not an address or a CIDR: write it as 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32',
    holds: ({ inbound }) =>
      [
        ...(inbound.clients?.networks ?? []),
        ...(inbound.clientPolicies ?? []).flatMap((p) => p.networks),
      ].every((network) => networkOf(network, new BlockList())),
  },
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || (${celEveryLevel("!= 'Dane'")})`,
    message: 'TLS level Dane is not available in this version: use Verify',
    holds: (spec) => everyLevel(spec).every((level) => level !== 'Dane'),
  },
  {
    path: 'spec.outbound',
    cel: "!has(self.outbound) || ((!has(self.outbound.smartHosts) || self.outbound.smartHosts.all(h, !(has(h.implicitTLS) && h.implicitTLS && has(h.tls) && h.tls.level == 'None'))) && (!has(self.outbound.routes) || self.outbound.routes.all(r, r.hosts.all(h, !(has(h.implicitTLS) && h.implicitTLS && has(h.tls) && h.tls.level == 'None')))))",
    message: 'a next hop cannot have both implicitTLS and TLS level None: remove one of them',
    holds: (spec) => everyHop(spec).every((h) => !(h.implicitTLS === true && h.tls?.level === 'None')),
  },
  {
    path: 'spec.queue',
    cel: "!has(self.queue) || !has(self.queue.mode) || self.queue.mode != 'CutThrough'",
    message: 'queue.mode CutThrough is not available in this version: use Durable',
    holds: (spec) => spec.queue?.mode !== 'CutThrough',
  },
  {
    path: 'spec.queue',
    cel: "!has(self.queue) || !has(self.queue.mode) || self.queue.mode != 'CutThrough' || !has(self.queue.storage)",
    message: 'queue.mode CutThrough keeps nothing on disk: remove queue.storage, or use Durable',
    holds: (spec) => spec.queue?.mode !== 'CutThrough' || spec.queue.storage === undefined,
  },
  {
    path: 'spec.service',
    cel: "!has(self.service) || !has(self.service.externalTrafficPolicy) || (has(self.service.type) && self.service.type != 'ClusterIP')",
    message: 'service.externalTrafficPolicy is for NodePort and LoadBalancer: set service.type, or remove it',
    holds: ({ service }) =>
      service?.externalTrafficPolicy === undefined ||
      (service.type !== undefined && service.type !== 'ClusterIP'),
  },
];

const effectiveSize = (object: string) =>
  `quantity(has(${object}.queue) && has(${object}.queue.storage) && has(${object}.queue.storage.size) ? ${object}.queue.storage.size : '1Gi')`;
const effectiveMode = (object: string) =>
  `(has(${object}.queue) && has(${object}.queue.mode) ? ${object}.queue.mode : 'Durable')`;
const effectiveClass = (object: string) =>
  `(has(${object}.queue) && has(${object}.queue.storage) && has(${object}.queue.storage.className) ? ${object}.queue.storage.className : '')`;

/** What an update may not do; checked by the API server alone, which has the old object. */
export const TRANSITION_RULES: readonly { readonly cel: string; readonly message: string }[] = [
  {
    cel: `${effectiveSize('self')}.compareTo(${effectiveSize('oldSelf')}) >= 0`,
    message:
      'queue.storage.size cannot shrink: make a second MailRelay with the smaller size, move the traffic, and delete this one when its queue is empty',
  },
  {
    cel: `${effectiveClass('self')} == ${effectiveClass('oldSelf')}`,
    message:
      'queue.storage.className cannot change: make a second MailRelay with the other class, move the traffic, and delete this one when its queue is empty',
  },
  {
    cel: `${effectiveMode('self')} == ${effectiveMode('oldSelf')}`,
    message:
      'queue.mode cannot change: make a second MailRelay with the other mode, move the traffic, and delete this one when its queue is empty',
  },
];

/** On the object itself: the name becomes that of a StatefulSet, of Services and of a label value. */
export const NAME_RULE = {
  cel: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$')",
  message:
    'metadata.name names the Service too: use at most 42 lower-case letters, digits and hyphens, beginning with a letter',
  holds: (name: string) => /^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$/.test(name),
};
