/**
 * The TLS contexts of deliveries: trusted authorities and our client certificate. Each context is made once and shared
 * by all connections, because a new one costs as much as a handshake. New contents make new contexts. Where nobody is trusted,
 * no connection that has to verify its hop is made: that is a fault of this relay, and no hop is judged by it.
 */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Materials } from '../task/materials.ts';
import { findNobodyTrusted, makeCa, trustFrom } from '../task/trust.ts';
import { isOldVersion, type TlsPolicy } from './tlspolicy.ts';

export type Context = { kind: 'context'; context: SecureContext } | { kind: 'unusable'; reason: string };

interface Made {
  readonly made: Context;
  /** Why no connection that has to verify its hop is made: nobody is trusted. Undefined: it may be. */
  readonly nobody: string | undefined;
}

export class TlsContexts {
  #materials: Materials;
  readonly #made = new Map<string, Made>();

  constructor(materials: Materials) {
    this.#materials = materials;
  }

  use(materials: Materials): void {
    this.#materials = materials;
    this.#made.clear();
  }

  /** `anchors`: trusted in place of the authorities. Strangers choose them, so their contexts are not kept. */
  for(policy: TlsPolicy, anchors: readonly string[] = []): Context {
    if (anchors.length > 0) return this.#make(policy, { ca: [...anchors], allowPartialTrustChain: true });
    const { made, nobody } = this.#known(policy);
    return nobody !== undefined && policy.trust.kind === 'pkix' ? { kind: 'unusable', reason: nobody } : made;
  }

  /** The authorities are those of level Verify, also where the level does not ask: see stricterlevels.ts. */
  #known(policy: TlsPolicy): Made {
    const { stricter, identity, strength } = policy;
    const key = JSON.stringify([stricter.configMap, identity, strength]);
    const known = this.#made.get(key);
    if (known) return known;
    const trust = trustFrom(this.#materials, stricter.configMap);
    const made = this.#make(policy, makeCa(trust));
    const all = { made, nobody: findNobodyTrusted(trust, stricter.configMap) };
    this.#made.set(key, all);
    return all;
  }

  #make(
    { identity, strength: { minVersion, ciphers } }: TlsPolicy,
    ca: Pick<SecureContextOptions, 'ca' | 'allowPartialTrustChain'>,
  ): Context {
    try {
      const context = createSecureContext({
        minVersion,
        ...(ciphers === null ? {} : { ciphers }),
        // Peers of that age do not know RFC 5746 (secure renegotiation).
        ...(isOldVersion(minVersion) ? { secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT } : {}),
        ...ca,
        ...(identity === null ? {} : this.#pair(identity)),
      });
      return { kind: 'context', context };
    } catch (error) {
      return { kind: 'unusable', reason: (error as Error).message };
    }
  }

  #pair(name: string): { cert: string; key: string } {
    const { 'tls.crt': cert, 'tls.key': key } = this.#materials.secrets[name] ?? {};
    if (cert !== undefined && key !== undefined) return { cert, key };
    throw new Error(`the Secret "${name}" with the client certificate is missing`);
  }
}
