/**
 * Failures of TLS that depend on what a level, a domain or a sender wants. Another message may go to the same host all
 * the same. Pure.
 */
import type { FailureCause } from '#crds/failure.ts';

/**
 * `proof`: the host has no TLS that proves its name. `policy`: the policy cannot be read, or needs records that the host
 * does not have.
 */
const LACKING: Partial<Readonly<Record<FailureCause, 'proof' | 'policy'>>> = {
  'starttls-missing': 'proof',
  'certificate-host-mismatch': 'proof',
  'certificate-expired': 'proof',
  'certificate-untrusted': 'proof',
  'tlsa-invalid': 'proof',
  'sts-mx-mismatch': 'proof',
  'dane-required': 'policy',
  'sts-policy-fetch-error': 'policy',
  'sts-policy-invalid': 'policy',
  'sts-webpki-invalid': 'policy',
};

export function isUnproven(cause: FailureCause): boolean {
  return LACKING[cause] === 'proof';
}

/**
 * The host did not meet what a level or a domain wants of its TLS. Many domains share a host, and one of them may
 * publish a policy that the host cannot meet: this says nothing about the host for the others.
 */
export function isOfPolicy(cause: FailureCause): boolean {
  return LACKING[cause] !== undefined;
}
