/**
 * The TLS contexts of deliveries: whom they trust and which certificate they present. Each is made once and shared by
 * all connections, because making one costs as much as a handshake. New contents make new contexts.
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Materials } from '../task/materials.ts';
import { caOf, trustFrom } from '../task/trust.ts';
import type { NextHop } from './courier.ts';

const MIN_VERSION = 'TLSv1.2';

export type Context = { kind: 'context'; context: SecureContext } | { kind: 'unusable'; reason: string };

export class TlsContexts {
  #materials: Materials;
  readonly #made = new Map<string, Context>();

  constructor(materials: Materials) {
    this.#materials = materials;
  }

  use(materials: Materials): void {
    this.#materials = materials;
    this.#made.clear();
  }

  /** The context for connections to `hop`; a trust bundle is only of use where the peer is verified. */
  for(hop: NextHop, verifies: boolean): Context {
    const key = JSON.stringify([verifies && hop.trustConfigMap, verifies, hop.clientCertificateSecret]);
    const known = this.#made.get(key);
    if (known) return known;
    const made = this.#make(hop, verifies);
    this.#made.set(key, made);
    return made;
  }

  #make({ trustConfigMap, clientCertificateSecret }: NextHop, verifies: boolean): Context {
    try {
      const ca = verifies ? caOf(trustFrom(this.#materials, trustConfigMap)) : { ca: [] };
      const pair = clientCertificateSecret === null ? {} : this.#pair(clientCertificateSecret);
      const context = createSecureContext({ minVersion: MIN_VERSION, ...ca, ...pair });
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
