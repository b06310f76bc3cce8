/**
 * What OpenSSL says of the certificate of a peer, as a value: the cause, words, and a cure. For the relay, which delivers to the
 * peer, and for `mailrelay send`, so that no code reaches a person. Pure.
 */
import type { FailureCause } from './failure.ts';

export interface CertificateError {
  /** RFC 8460 section 4.3.1 has separate result types for these errors. */
  readonly cause: Extract<FailureCause, `certificate-${string}`>;
  /** After "the certificate". */
  readonly says: string;
  /** For who runs the peer. Absent: the peer is right, and its authority or its name must be told to us. */
  readonly cure?: string;
  /** It ends by itself: a clock is wrong, that of the peer or ours. */
  readonly mayPass?: true;
}

export const NO_AUTHORITY = 'is of no trusted authority';
const MALFORMED = 'cannot be read';
const ISSUE_ANOTHER = 'issue another one';

const untrusted = (says = NO_AUTHORITY, cure?: string): CertificateError => ({
  cause: 'certificate-untrusted',
  says,
  ...(cure === undefined ? {} : { cure }),
});
const expired = (says: string, cure: string): CertificateError => ({
  cause: 'certificate-expired',
  says,
  cure,
});

/** By the code of OpenSSL as Node writes it, or of Node for the name. Lists of revoked certificates are not used. */
const ERRORS: Readonly<Record<string, CertificateError>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: { cause: 'certificate-host-mismatch', says: 'has another name' },
  HOSTNAME_MISMATCH: { cause: 'certificate-host-mismatch', says: 'has another name' },
  CERT_HAS_EXPIRED: expired('has expired', 'renew it'),
  CERT_NOT_YET_VALID: { ...expired('is not valid yet', 'check the clocks'), mayPass: true },
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted('is signed by itself'),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted(),
  UNABLE_TO_GET_ISSUER_CERT: untrusted(),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted(),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted(),
  CERT_UNTRUSTED: untrusted(),
  CERT_REJECTED: untrusted(),
  CERT_REVOKED: untrusted('is revoked', ISSUE_ANOTHER),
  CERT_SIGNATURE_FAILURE: untrusted('has a wrong signature in its chain', ISSUE_ANOTHER),
  CERT_CHAIN_TOO_LONG: untrusted('has a chain that is too long', 'send fewer certificates'),
  PATH_LENGTH_EXCEEDED: untrusted('has a longer chain than one of its authorities allows', ISSUE_ANOTHER),
  INVALID_CA: untrusted('is signed by a certificate that is no authority', ISSUE_ANOTHER),
  INVALID_PURPOSE: untrusted('is not one of a server', 'issue one for servers'),
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: untrusted(MALFORMED, ISSUE_ANOTHER),
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: untrusted(MALFORMED, ISSUE_ANOTHER),
  ERROR_IN_CERT_NOT_BEFORE_FIELD: untrusted(MALFORMED, ISSUE_ANOTHER),
  ERROR_IN_CERT_NOT_AFTER_FIELD: untrusted(MALFORMED, ISSUE_ANOTHER),
  // Node has one word for all other errors of OpenSSL.
  UNSPECIFIED: untrusted(
    'breaks a rule of TLS, such as a key or a signature that is too weak',
    ISSUE_ANOTHER,
  ),
};

/** Undefined: the code is about something else. */
export function readCertificateError(code: string): CertificateError | undefined {
  return Object.hasOwn(ERRORS, code) ? ERRORS[code] : undefined;
}

/** Of a code that is about a certificate. */
export function judgeCertificateError(code: string): CertificateError {
  return readCertificateError(code) ?? untrusted();
}
