/**
 * The checks of kinds that the API server does not list. Whether the relay has such objects is not known: they are
 * neither made nor changed nor deleted, and nothing is said of them. Pure.
 */
import { wantsIssuer } from './certificate.ts';
import { type Check, is } from './finding.ts';
import { findCure } from './kubecures.ts';
import { listed, quoted } from './words.ts';

const OF_CERT_MANAGER = ['Certificate', 'CertificateRequest'];

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

/** Only a Certificate is part of what the spec asks for; a CertificateRequest tells why one is not issued. */
export const certificatesUnlisted: Check = (world) => {
  const isTheirs = world.unlisted?.some(({ kind }) => kind === 'Certificate') ?? false;
  const finding = isTheirs ? certManagerUnlisted(world) : undefined;
  return finding && { ...finding, status: 'True' };
};
