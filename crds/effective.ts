/**
 * From a MailRelay to what it means: the policy file, with every default applied. The same function serves the
 * operator and `mailrelay run`, so a laptop speaks the policy that a cluster would. The manifest must have passed
 * validate.ts. Pure.
 */
import type { MailRelaySpec } from './mailrelay.ts';
import { type Hop, type Listener, POLICY_FORMAT, type Policy, type StartTlsPolicy } from './policyfile.ts';
import type { TlsLevel } from './tlslevel.ts';
import { parseDuration, parseSize } from './units.ts';

type HopSpec = NonNullable<NonNullable<MailRelaySpec['outbound']>['smartHosts']>[number];

const DEFAULT_MESSAGE_SIZE = '25Mi';
export const DEFAULT_STORAGE_SIZE = '1Gi';
const DEFAULT_EXPIRE_AFTER = '5d';

/** The policy of one relay. Throws only on a spec that was never validated. */
export function effectivePolicy(relay: { name: string; namespace: string }, spec: MailRelaySpec): Policy {
  return {
    format: POLICY_FORMAT,
    name: relay.name,
    namespace: relay.namespace,
    hostname: spec.hostname,
    inbound: effectiveInbound(spec),
    outbound: effectiveOutbound(spec),
    queue: {
      mode: spec.queue?.mode ?? 'Durable',
      expireAfterSeconds: parsed(parseDuration, spec.queue?.expireAfter ?? DEFAULT_EXPIRE_AFTER),
    },
    trace: { level: spec.trace?.level ?? 0 },
  };
}

/** Name of the Secret that the pods mount, or undefined where no TLS is wanted. */
export function certificateSecretName(relayName: string, spec: MailRelaySpec): string | undefined {
  return spec.tls?.secretName ?? (spec.tls?.issuerRef ? `${relayName}-tls` : undefined);
}

/** One word where all enabled listeners agree, else each with its name; `Disabled` without listeners. */
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

/** True where a session may be encrypted, so that a key pair is needed. */
export function needsKeyPair(policy: Policy): boolean {
  const { listeners, clientPolicies } = policy.inbound;
  return (
    listeners.some(listenerNeedsKeyPair) ||
    (listeners.length > 0 && clientPolicies.some(({ starttls }) => starttls !== 'Disabled'))
  );
}

/** True where this listener cannot do its work without a key pair. */
export function listenerNeedsKeyPair({ implicitTLS, starttls }: Listener): boolean {
  return implicitTLS || starttls !== 'Disabled';
}

function effectiveInbound(spec: MailRelaySpec): Policy['inbound'] {
  const { inbound } = spec;
  const fallback = inbound.starttls ?? 'Enabled';
  const listeners =
    inbound.enabled === false ? [] : inbound.listeners.filter(({ enabled }) => enabled !== false);
  return {
    minTlsVersion: spec.tls?.minVersion ?? 'TLSv1.2',
    listeners: listeners.map((listener) => effectiveListener(listener, fallback)),
    clientPolicies: (inbound.clientPolicies ?? []).map(({ networks, starttls }) => ({ networks, starttls })),
    relayNetworks: inbound.clients?.networks ?? [],
    usesCredentials: inbound.clients?.credentialsSecretName !== undefined,
    acceptDomains: inbound.acceptDomains ?? [],
    limits: {
      messageBytes: parsed(parseSize, inbound.limits?.messageSize ?? DEFAULT_MESSAGE_SIZE),
      recipients: inbound.limits?.recipients ?? 100,
      connectionsPerClient: inbound.limits?.connectionsPerClient ?? null,
      messagesPerClientPerMinute: inbound.limits?.messagesPerClientPerMinute ?? null,
    },
  };
}

function effectiveListener(
  listener: MailRelaySpec['inbound']['listeners'][number],
  fallback: StartTlsPolicy,
): Listener {
  const implicitTLS = listener.implicitTLS ?? false;
  return {
    name: listener.name,
    port: listener.port,
    // STARTTLS inside TLS does not exist (RFC 8314): an implicit listener has none to offer.
    starttls: implicitTLS ? 'Disabled' : (listener.starttls ?? fallback),
    implicitTLS,
    auth: listener.auth ?? 'Disabled',
  };
}

function effectiveOutbound(spec: MailRelaySpec): Policy['outbound'] {
  const { outbound } = spec;
  const floor = outbound?.tls?.level ?? 'Opportunistic';
  return {
    tlsLevel: floor,
    discover: outbound?.tls?.discover ?? ['DANE', 'MTASTS'],
    usesTrustBundle: outbound?.tls?.trustConfigMapName !== undefined,
    smartHosts: (outbound?.smartHosts ?? []).map((hop) => effectiveHop(hop, floor)),
    routes: (outbound?.routes ?? []).map(({ recipientDomains, hosts, tls }) => ({
      recipientDomains,
      hosts: hosts.map((hop) => effectiveHop(hop, tls?.level ?? floor)),
    })),
  };
}

function effectiveHop(hop: HopSpec, level: TlsLevel): Hop {
  const implicitTLS = hop.implicitTLS ?? false;
  return {
    host: hop.host,
    port: hop.port ?? (implicitTLS ? 465 : 25),
    implicitTLS,
    tlsLevel: hop.tls?.level ?? level,
    needsCredentials: hop.credentialsSecretName !== undefined,
  };
}

function parsed(parse: (text: string) => number | undefined, text: string): number {
  const value = parse(text);
  if (value === undefined) throw new TypeError(`Cannot read "${text}": the manifest was not validated`);
  return value;
}
