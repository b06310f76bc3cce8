/** The TLS context of a field that names a ConfigMap of authorities (trust.ts). */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Materials } from './materials.ts';
import { makeCa, trustFrom } from './trust.ts';

/**
 * A context is made anew only from other materials: reading a hundred authorities takes longer than a request. Throws if
 * an authority cannot be read.
 */
export function rememberContext(configMap: string | null): (materials: Materials) => SecureContext {
  let last: { readonly materials: Materials; readonly context: SecureContext } | undefined;
  return (materials) => {
    if (last?.materials !== materials)
      last = { materials, context: createSecureContext(makeCa(trustFrom(materials, configMap))) };
    return last.context;
  };
}
