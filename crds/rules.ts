/**
 * Rules over several fields of a MailRelay. Each rule is written twice, side by side, with one message that names the
 * cure: as CEL for the API server, and as a predicate for `mailrelay run` and `lint`. A test on a real API server
 * compares both. Transition rules compare with the stored object and exist only as CEL. Rules may rely on the shapes
 * and bounds of mailrelay.ts, because they run after them.
 */
import { BlockList } from 'node:net';
import { ADDRESS_RULES } from './addressrules.ts';
import { DNS_RULES } from './dnsrules.ts';
import { FILTER_RULES } from './filterrules.ts';
import { HEADER_RULES } from './headerrules.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { addNetwork } from './networks.ts';
import { OUTBOUND_RULES } from './outboundrules.ts';
import { PEER_RULES } from './peerrules.ts';
import { REPORT_RULES } from './reportrules.ts';
import { celEveryHop, everyHop, RESOLVER_RULES } from './resolverrules.ts';
import { RESOURCE_RULES } from './resourcerules.ts';
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';
import { SENDER_RULES } from './senderrules.ts';
import { SHAPING_RULES } from './shapingrules.ts';
import { TLS_RULES } from './tlsrules.ts';
import { ADMIN_PORT, HANDOVER_PORT, servedPort } from './wellknown.ts';
import { WORKLOAD_RULES } from './workloadrules.ts';

const enabledListeners = ({ inbound }: MailRelaySpec) =>
  inbound.enabled === false ? [] : inbound.listeners.filter(({ enabled }) => enabled !== false);

const starttlsOf = ({ inbound }: MailRelaySpec, listener: { starttls?: string | undefined }) =>
  listener.starttls ?? inbound.starttls ?? 'Enabled';

const mayLogIn = ({ inbound }: MailRelaySpec, listener: MailRelaySpec['inbound']['listeners'][number]) => {
  const clients = listener.clients ?? inbound.clients;
  return (
    clients?.credentialsSecretName !== undefined ||
    clients?.oauth !== undefined ||
    clients?.certificates !== undefined
  );
};

const NO_NETWORK =
  'a client network is not an address or a CIDR: write it as 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32';

const isNetwork = (text: string) => addNetwork(text, new BlockList());

const unique = (values: readonly unknown[]) => new Set(values).size === values.length;

// The same conditions in CEL. `l` is a listener.
const CEL_STARTTLS =
  "(has(l.starttls) ? l.starttls : (has(self.inbound.starttls) ? self.inbound.starttls : 'Enabled'))";
const CEL_IMPLICIT = '(has(l.implicitTLS) && l.implicitTLS)';
const CEL_OFF = '((has(l.enabled) && !l.enabled) || (has(self.inbound.enabled) && !self.inbound.enabled))';
const CEL_AUTH = "(has(l.auth) && l.auth != 'Disabled')";

const celLogins = (clients: string) =>
  `(has(${clients}.credentialsSecretName) || has(${clients}.oauth) || has(${clients}.certificates))`;
const CEL_NETWORKS = '.networks.all(n, isCIDR(n) || isIP(n))';

const CEL_LEVEL_NONE = "(has(h.tls) && has(h.tls.level) && h.tls.level == 'None')";
export const RULES: readonly Rule[] = [
  {
    path: 'spec',
    wantsOne: true,
    cel: `(has(self.tls) && (has(self.tls.secretName) || has(self.tls.issuerRef))) || (self.inbound.listeners.all(l, ${CEL_OFF} || (!${CEL_IMPLICIT} && ${CEL_STARTTLS} == 'Disabled')) && (!has(self.inbound.clientPolicies) || self.inbound.clientPolicies.all(p, !has(p.starttls) || p.starttls == 'Disabled')))`,
    message:
      'TLS needs a certificate: set spec.tls.secretName (a kubernetes.io/tls Secret) or spec.tls.issuerRef (a cert-manager issuer), or set starttls: Disabled on every listener and client policy',
    holds: (spec) =>
      spec.tls?.secretName !== undefined ||
      spec.tls?.issuerRef !== undefined ||
      (enabledListeners(spec).every((l) => l.implicitTLS !== true && starttlsOf(spec, l) === 'Disabled') &&
        (spec.inbound.clientPolicies ?? []).every(({ starttls }) => (starttls ?? 'Disabled') === 'Disabled')),
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
    cel: `self.inbound.listeners.all(l, !${CEL_AUTH} || (has(l.clients) ? ${celLogins('l.clients')} : (has(self.inbound.clients) && ${celLogins('self.inbound.clients')})))`,
    message:
      'a listener with auth needs somebody who can log in: set inbound.clients.credentialsSecretName, oauth or certificates (or those of the listener), or remove auth',
    holds: (spec) =>
      spec.inbound.listeners.every((l) => (l.auth ?? 'Disabled') === 'Disabled' || mayLogIn(spec, l)),
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
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, l.port != ${HANDOVER_PORT})`,
    message: `port ${HANDOVER_PORT} takes over the queues of pods that leave: choose another port for the listener`,
    holds: (spec) => spec.inbound.listeners.every(({ port }) => port !== HANDOVER_PORT),
  },
  {
    path: 'spec.inbound',
    cel: `(!has(self.inbound.clientPolicies) || self.inbound.clientPolicies.all(p, p${CEL_NETWORKS})) && (!has(self.inbound.clients) || !has(self.inbound.clients.networks) || self.inbound.clients${CEL_NETWORKS}) && (!has(self.trace) || !has(self.trace.networks) || self.trace${CEL_NETWORKS})`,
    message: NO_NETWORK,
    holds: ({ inbound, trace }) =>
      [
        ...(inbound.clients?.networks ?? []),
        ...(inbound.clientPolicies ?? []).flatMap((p) => p.networks),
        ...(trace?.networks ?? []),
      ].every(isNetwork),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, (!has(l.proxyProtocol) || l.proxyProtocol${CEL_NETWORKS}) && (!has(l.clients) || !has(l.clients.networks) || l.clients${CEL_NETWORKS}))`,
    message: NO_NETWORK,
    holds: ({ inbound }) =>
      inbound.listeners
        .flatMap(({ proxyProtocol, clients }) => [
          ...(proxyProtocol?.networks ?? []),
          ...(clients?.networks ?? []),
        ])
        .every(isNetwork),
  },
  {
    path: 'spec.inbound.clientPolicies',
    cel: '!has(self.inbound.clientPolicies) || self.inbound.clientPolicies.all(p, has(p.starttls) || has(p.minVersion) || has(p.lineEndings))',
    message:
      'a client policy changes nothing: set its starttls, its minVersion or its lineEndings, or remove it',
    holds: ({ inbound }) =>
      (inbound.clientPolicies ?? []).every(
        (p) => p.starttls !== undefined || p.minVersion !== undefined || p.lineEndings !== undefined,
      ),
  },
  ...OUTBOUND_RULES,
  ...RESOLVER_RULES,
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || (${celEveryHop(`!(has(h.implicitTLS) && h.implicitTLS && ${CEL_LEVEL_NONE})`)})`,
    message: 'a next hop cannot have both implicitTLS and TLS level None: remove one of them',
    holds: (spec) => everyHop(spec).every((h) => !(h.implicitTLS === true && h.tls?.level === 'None')),
  },
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || (${celEveryHop(`!(has(h.credentialsSecretName) && ${CEL_LEVEL_NONE})`)})`,
    message:
      'a login is never sent in clear: remove TLS level None from the next hop, or its credentialsSecretName',
    holds: (spec) =>
      everyHop(spec).every((h) => !(h.credentialsSecretName !== undefined && h.tls?.level === 'None')),
  },
  {
    path: 'spec.queue',
    cel: `!${CEL_CUT_THROUGH} || !(has(self.queue.storage) || has(self.queue.expireAfter) || has(self.queue.delayWarningAfter) || has(self.queue.maxMessages) || has(self.queue.maxSize) || has(self.queue.history) || has(self.queue.suppression))`,
    message:
      'queue.mode CutThrough keeps nothing on disk: remove storage, expireAfter, delayWarningAfter, maxMessages, maxSize, history and suppression, or use Durable',
    holds: (spec) => !isCutThrough(spec) || Object.keys(spec.queue ?? {}).length === 1,
  },
  {
    path: 'spec.queue',
    cel: `!${CEL_CUT_THROUGH} || !(has(self.inbound.alwaysBcc) || (has(self.outbound) && has(self.outbound.dkim)))`,
    message:
      'queue.mode CutThrough passes a message on as it comes, to one recipient: remove inbound.alwaysBcc and outbound.dkim, or use Durable',
    holds: (spec) =>
      !isCutThrough(spec) || (spec.inbound.alwaysBcc === undefined && spec.outbound?.dkim === undefined),
  },
  {
    path: 'spec.queue',
    cel: `!${CEL_CUT_THROUGH} || !has(self.outbound) || !has(self.outbound.tls) || !has(self.outbound.tls.reports)`,
    message:
      'queue.mode CutThrough keeps nothing on disk, so nothing can be counted for a day: remove outbound.tls.reports, or use Durable',
    holds: (spec) => !isCutThrough(spec) || spec.outbound?.tls?.reports === undefined,
  },
  {
    path: 'spec.events',
    cel: `!${CEL_CUT_THROUGH} || !has(self.events)`,
    message:
      'queue.mode CutThrough keeps nothing on disk, so an event could not wait for its receiver: remove events, or use Durable',
    holds: (spec) => !isCutThrough(spec) || spec.events === undefined,
  },
  ...REPORT_RULES,
  ...FILTER_RULES,
  ...SHAPING_RULES,
  ...HEADER_RULES,
  ...SENDER_RULES,
  ...ADDRESS_RULES,
  ...TLS_RULES,
  ...DNS_RULES,
  ...WORKLOAD_RULES,
  ...RESOURCE_RULES,
  ...PEER_RULES,
];

const effectiveMode = (object: string) =>
  `(has(${object}.queue) && has(${object}.queue.mode) ? ${object}.queue.mode : 'Durable')`;
const publishesKey = (object: string) =>
  `(has(${object}.dns) && has(${object}.dns.tlsa) && ${object}.dns.tlsa)`;
const effectiveSecret = (object: string) =>
  `(has(${object}.tls) && has(${object}.tls.secretName) ? ${object}.tls.secretName : '')`;
const effectiveAlgorithm = (object: string) =>
  `(has(${object}.tls) && has(${object}.tls.privateKey) && has(${object}.tls.privateKey.algorithm) ? ${object}.tls.privateKey.algorithm : 'ECDSA')`;
const effectiveBits = (object: string) =>
  `(has(${object}.tls) && has(${object}.tls.privateKey) && has(${object}.tls.privateKey.size) ? ${object}.tls.privateKey.size : (${effectiveAlgorithm(object)} == 'RSA' ? 2048 : 256))`;

const effectiveClass = (object: string) =>
  `(has(${object}.queue) && has(${object}.queue.storage) && has(${object}.queue.storage.className) ? ${object}.queue.storage.className : '')`;

/**
 * Rules for updates. Only the API server checks them, because it has the old object. It does not know the real sizes of
 * the volumes: operator/judge/storage.ts checks those.
 */
export const TRANSITION_RULES: readonly { readonly cel: string; readonly message: string }[] = [
  {
    cel: `${effectiveClass('self')} == ${effectiveClass('oldSelf')}`,
    message:
      'queue.storage.className cannot change: make a second MailRelay with the other class, move the traffic, and delete this one when its queue is empty',
  },
  {
    cel: `!(${publishesKey('self')} && ${publishesKey('oldSelf')}) || ${effectiveSecret('self')} != ${effectiveSecret('oldSelf')} || (${effectiveAlgorithm('self')} == ${effectiveAlgorithm('oldSelf')} && ${effectiveBits('self')} == ${effectiveBits('oldSelf')})`,
    message:
      'dns.tlsa publishes the key of the certificate, so that tls.privateKey cannot change alone: give tls.secretName another name beside it, and the key rolls over',
  },
  {
    cel: `${effectiveMode('self')} == ${effectiveMode('oldSelf')}`,
    message:
      'queue.mode cannot change: make a second MailRelay with the other mode, move the traffic, and delete this one when its queue is empty',
  },
];

/** A rule for the name of the MailRelay: it becomes the name of a StatefulSet and of Services, and a label value. */
export const NAME_RULE = {
  cel: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$')",
  message:
    'metadata.name names the Service too: use at most 42 lower-case letters, digits and hyphens, beginning with a letter',
  holds: (name: string) => /^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$/.test(name),
};
