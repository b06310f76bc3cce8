/**
 * Makes the policy file from a MailRelay, with every default applied. The operator and `mailrelay run` use the same
 * function, so a laptop gets the same policy as a cluster. The manifest must have passed validate.ts. Pure.
 */
import { effectiveAddresses, effectiveHeaders } from './effectiveaddresses.ts';
import { effectivePolicyHost } from './effectivedns.ts';
import { effectiveFilter, effectiveListenerFilter } from './effectivefilter.ts';
import { effectiveOutbound } from './effectiveoutbound.ts';
import { effectiveEvents, effectiveQueue } from './effectivequeue.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { type Clients, hashContent, type Listener, POLICY_FORMAT, type Policy } from './policyfile.ts';
import { parseDuration, parsed, parseSize } from './units.ts';

type ClientsSpec = NonNullable<MailRelaySpec['inbound']['clients']>;

const DEFAULT_MESSAGE_SIZE = '25Mi';
export const DEFAULT_STORAGE_SIZE = '1Gi';

interface RelayName {
  readonly name: string;
  readonly namespace: string;
}

/** The policy of one relay. Throws only on a spec that was never validated. */
export function effectivePolicy(relay: RelayName, spec: MailRelaySpec): Policy {
  return {
    format: POLICY_FORMAT,
    name: relay.name,
    namespace: relay.namespace,
    hostname: spec.hostname,
    inbound: effectiveInbound(relay, spec),
    outbound: effectiveOutbound(spec),
    policyHost: effectivePolicyHost(relay.name, spec),
    addresses: effectiveAddresses(spec.addresses),
    headers: effectiveHeaders(spec.headers),
    queue: effectiveQueue(spec.queue),
    events: effectiveEvents(spec.events),
    logging: {
      level: spec.logging?.level ?? 'info',
      addresses: spec.logging?.addresses ?? 'Full',
    },
    trace: {
      level: spec.trace?.level ?? 0,
      networks: spec.trace?.networks ?? null,
      recipientDomains: spec.trace?.recipientDomains ?? null,
      until: spec.trace?.until ?? null,
    },
  };
}

/** Name of the Secret that the pods mount; undefined if the relay has no TLS. */
export function certificateSecretName(relayName: string, spec: MailRelaySpec): string | undefined {
  return spec.tls?.secretName ?? (spec.tls?.issuerRef ? `${relayName}-tls` : undefined);
}

/** Name of the Secret of the certificate for the names inside the cluster; undefined if there is none. */
export function internalSecretName(relayName: string, spec: MailRelaySpec): string | undefined {
  return spec.tls?.internal && (spec.tls.internal.secretName ?? `${relayName}-internal-tls`);
}

type SniSource = NonNullable<NonNullable<MailRelaySpec['tls']>['certificates']>[number];

/** The certificates for other host names, each with the name of its Secret. */
export function listSniCertificates(
  relayName: string,
  { tls }: MailRelaySpec,
): (SniSource & { readonly secret: string })[] {
  return (tls?.certificates ?? []).map((source) => ({
    ...source,
    secret: sniSecretName(relayName, source),
  }));
}

/** By default made of the first name: no other entry has it, and the order of the entries may change. */
export function sniSecretName(relayName: string, { secretName, hostnames: [first = ''] }: SniSource): string {
  return secretName ?? `${relayName}-tls-${hashContent(first).slice(0, 8)}`;
}

/** The names by which clients inside the cluster reach the Service, in its own namespace and in others. */
function internalNames({ name, namespace }: RelayName, clusterDomain = 'cluster.local'): string[] {
  const service = `${name}.${namespace}.svc`;
  return [name, `${name}.${namespace}`, service, `${service}.${clusterDomain}`];
}

/** One word if all enabled listeners have the same policy, else the policy of each; `Disabled` without listeners. */
export function startTlsSummary(policy: Policy): string {
  const words = policy.inbound.listeners
    .filter(({ implicitTLS }) => !implicitTLS)
    .map(({ name, starttls }) => ({ name, starttls }));
  const distinct = new Set(words.map(({ starttls }) => starttls));
  if (distinct.size <= 1)
    return words[0]?.starttls ?? (policy.inbound.listeners.length > 0 ? 'Implicit' : 'Disabled');
  const summary = words.map(({ name, starttls }) => `${name}=${starttls}`).join(',');
  return summary.length <= 64 ? summary : 'Mixed';
}

/** True if a session can be encrypted, so that the relay needs a key pair. */
export function needsKeyPair(policy: Policy): boolean {
  const { listeners, clientPolicies } = policy.inbound;
  return (
    listeners.some(listenerNeedsKeyPair) ||
    (listeners.length > 0 &&
      clientPolicies.some(({ starttls }) => starttls !== null && starttls !== 'Disabled'))
  );
}

/** True if this listener cannot work without a key pair. */
export function listenerNeedsKeyPair({ implicitTLS, starttls }: Listener): boolean {
  return implicitTLS || starttls !== 'Disabled';
}

function effectiveInbound(relay: RelayName, spec: MailRelaySpec): Policy['inbound'] {
  const { inbound } = spec;
  const listeners =
    inbound.enabled === false ? [] : inbound.listeners.filter(({ enabled }) => enabled !== false);
  return {
    minTlsVersion: spec.tls?.minVersion ?? 'TLSv1.2',
    internalTls: effectiveInternalTls(relay, spec),
    sniCertificates: listSniCertificates(relay.name, spec).map(({ secret, hostnames }) => ({
      secret,
      names: hostnames,
    })),
    listeners: listeners.map((listener) => effectiveListener(listener, inbound)),
    clientPolicies: (inbound.clientPolicies ?? []).map(({ networks, starttls, minVersion, lineEndings }) => ({
      networks,
      starttls: starttls ?? null,
      minTlsVersion: minVersion ?? null,
      lineEndings: lineEndings ?? null,
    })),
    acceptDomains: inbound.acceptDomains ?? [],
    masqueradeDomains: inbound.masqueradeDomains ?? [],
    alwaysBcc: inbound.alwaysBcc ?? null,
    tlsReports: inbound.tlsReports ?? null,
    ...(inbound.feedbackReports ? { feedbackReports: inbound.feedbackReports } : {}),
    filter: effectiveFilter(inbound),
    authenticationResults: effectiveResults(spec),
    limits: effectiveLimits(inbound.limits),
  };
}

function effectiveResults({ hostname, inbound }: MailRelaySpec): Policy['inbound']['authenticationResults'] {
  const { authenticationResults: wanted } = inbound;
  if (wanted === undefined) return null;
  return { authservId: wanted.authservID ?? hostname, arcSealDomain: wanted.arcSealDomain ?? null };
}

function effectiveInternalTls(relay: RelayName, spec: MailRelaySpec): Policy['inbound']['internalTls'] {
  const secret = internalSecretName(relay.name, spec);
  if (secret === undefined) return null;
  const { clusterDomain, dnsNames = [] } = spec.tls?.internal ?? {};
  return { secret, names: [...new Set([...internalNames(relay, clusterDomain), ...dnsNames])] };
}

function effectiveLimits(limits: MailRelaySpec['inbound']['limits']): Policy['inbound']['limits'] {
  return {
    messageBytes: parsed(parseSize, limits?.messageSize ?? DEFAULT_MESSAGE_SIZE),
    recipients: limits?.recipients ?? 100,
    connections: limits?.connections ?? 10_000,
    connectionsPerClient: limits?.connectionsPerClient ?? null,
    messagesPerClientPerMinute: limits?.messagesPerClientPerMinute ?? null,
    messagesPerLoginPerMinute: limits?.messagesPerLoginPerMinute ?? null,
    errorsPerSession: limits?.errorsPerSession ?? 50,
    idleSeconds: timerSeconds(limits?.idleTimeout ?? '5m'),
    messageSeconds: timerSeconds(limits?.messageTimeout ?? '30m'),
  };
}

function effectiveListener(
  listener: MailRelaySpec['inbound']['listeners'][number],
  inbound: MailRelaySpec['inbound'],
): Listener {
  const implicitTLS = listener.implicitTLS ?? false;
  return {
    name: listener.name,
    port: listener.port,
    // STARTTLS inside TLS does not exist (RFC 8314): an implicit listener has none to offer.
    starttls: implicitTLS ? 'Disabled' : (listener.starttls ?? inbound.starttls ?? 'Enabled'),
    implicitTLS,
    lineEndings: listener.lineEndings ?? inbound.lineEndings ?? 'Strict',
    auth: listener.auth ?? 'Disabled',
    proxyNetworks: listener.proxyProtocol?.networks ?? [],
    clients: effectiveClients(listener.clients ?? inbound.clients ?? {}),
    filter: effectiveListenerFilter(listener, inbound),
  };
}

function effectiveClients({ certificates, oauth, ...clients }: ClientsSpec): Clients {
  return {
    networks: clients.networks ?? [],
    usersSecret: clients.credentialsSecretName ?? null,
    certificates: certificates
      ? { trustConfigMap: certificates.trustConfigMapName, names: certificates.names }
      : null,
    oauth: oauth
      ? {
          issuer: oauth.issuer,
          audience: oauth.audience,
          subjects: oauth.subjects,
          keysConfigMap: oauth.keysConfigMapName ?? null,
          trustConfigMap: oauth.trustConfigMapName ?? null,
          acceptAsPassword: oauth.acceptAsPassword ?? false,
        }
      : null,
    senderLogins: (clients.senderLogins ?? []).map(({ logins = [], certificateNames = [], senders }) => ({
      logins,
      certificateNames,
      senders,
    })),
    senderDomains: clients.senderDomains ?? null,
    recipientDomains: clients.recipientDomains ?? null,
  };
}

/**
 * The longest time that a timer of Node can wait. The shortest is one second, because 0 would end every session at
 * once.
 */
const LONGEST_TIMER_SECONDS = 2_147_483;

function timerSeconds(text: string): number {
  return Math.min(Math.max(1, parsed(parseDuration, text)), LONGEST_TIMER_SECONDS);
}
