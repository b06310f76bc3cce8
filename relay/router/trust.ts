/**
 * The two TLS contexts of deliveries: one that verifies, against the mounted bundle only or else the public roots, and
 * one that does not. Each is made once and shared by all connections, because making one costs as much as a handshake.
 */
import { createSecureContext, type SecureContext } from 'node:tls';

const MIN_VERSION = 'TLSv1.2';

export class TlsContexts {
  readonly unverifying: SecureContext = createSecureContext({ minVersion: MIN_VERSION, ca: [] });
  #trust: string | null;
  #verifying: SecureContext;

  /** Throws where the bundle cannot be read. */
  constructor(trust: string | null) {
    this.#trust = trust;
    this.#verifying = verifyingContext(trust);
  }

  get verifying(): SecureContext {
    return this.#verifying;
  }

  /** True when the bundle differs from the one in use; throws, and keeps that one, where it cannot be read. */
  use(trust: string | null): boolean {
    if (trust === this.#trust) return false;
    this.#verifying = verifyingContext(trust);
    this.#trust = trust;
    return true;
  }
}

function verifyingContext(trust: string | null): SecureContext {
  if (trust === null) return createSecureContext({ minVersion: MIN_VERSION });
  // An empty bundle trusts nobody: without a list Node would fall back to the public roots.
  const certificates = trust.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return createSecureContext({ minVersion: MIN_VERSION, ca: certificates });
}
