/**
 * The kinds without which mail flows, and the checks of those that the API server does not list, or may not be watched any more.
 * Of one that a relay can do without it is not known whether the relay has such objects: they are neither made nor changed nor
 * deleted, and nothing is said of them. Of one that it needs, its own is read by name at each look, and written as always. Pure.
 */
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { DNS_ENDPOINT, type Kind, OPTIONAL } from '../kube/kinds.ts';
import { wantsIssuer } from './certificate.ts';
import { type Check, is } from './finding.ts';
import { findCure } from './kubecures.ts';
import { listed, quoted } from './words.ts';

const OF_CERT_MANAGER = ['Certificate', 'CertificateRequest'];

/** One that cannot be listed keeps no operator from its work. */
export function isExtra(kind: Kind): boolean {
  return OPTIONAL.has(kind);
}

/**
 * True if a relay must not be worked on without the objects of the kind. Nothing of a kind that is not known is written
 * or deleted. The DNSEndpoint of a relay that publishes its records remembers how far a key has rolled over.
 */
export function needsToKnow(relay: MailRelay | undefined, kind: Kind): boolean {
  if (!isExtra(kind)) return true;
  return kind === DNS_ENDPOINT && relay !== undefined && effectiveDns(relay.spec).endpointTypes.length > 0;
}

/** A relay with Secrets of its own needs none of them. */
export const certManagerUnlisted: Check = ({ relay, unlisted = [] }) => {
  const kinds = unlisted.filter(({ kind }) => OF_CERT_MANAGER.includes(kind));
  const [first] = kinds;
  if (!first || !wantsIssuer(relay)) return undefined;
  const names = listed(kinds.map(({ kind }) => `${kind}s`));
  const cure = findCure(first.message) ?? 'see that cert-manager and its CRDs are whole';
  return is(
    'Unknown',
    'CertManagerUnlisted',
    `The API server does not list ${names}, which stay as they are: ${quoted(first.message)}: ${cure}`,
  );
};

/** A relay that publishes by a DNSEndpoint goes on, and reads it at each look (lacking.ts). No other kind is needed so. */
export const dnsEndpointsNotWatched: Check = ({ readByName: [first] = [] }) => {
  if (!first) return undefined;
  // Only a refusal of the watch leads here.
  const cure = findCure(first.message) ?? 'restore the roles of the operator';
  return is(
    'Unknown',
    'DNSEndpointsNotWatched',
    `The operator may not watch DNSEndpoints any more, so it reads that of this relay every half minute: ${quoted(first.message)}: ${cure}`,
  );
};

/** Only a Certificate is part of what the spec asks for; a CertificateRequest tells why one is not issued. */
export const certificatesUnlisted: Check = (world) => {
  const isTheirs = world.unlisted?.some(({ kind }) => kind === 'Certificate') ?? false;
  const finding = isTheirs ? certManagerUnlisted(world) : undefined;
  return finding && { ...finding, status: 'True' };
};
