/**
 * Whom the other end of a TLS connection is verified by: the authorities of a mounted ConfigMap, or the public roots where
 * the field names none. A ConfigMap that is missing, empty or without a certificate means nobody. Node takes the public
 * roots for every `ca` that is empty as a text, so a `ca` is made here and nowhere else. Pure.
 */
import type { Files, Materials } from './materials.ts';

export type Trust = { readonly kind: 'public' } | { readonly kind: 'list'; readonly authorities: string[] };

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** `configMap` null: the field names none. */
export function trustFrom({ configMaps }: Materials, configMap: string | null): Trust {
  if (configMap === null) return { kind: 'public' };
  return { kind: 'list', authorities: certificatesOf(configMaps[configMap] ?? {}) };
}

/** For Node: absent means the public roots, and an empty list nobody. */
export function caOf(trust: Trust): { ca?: string[] } {
  return trust.kind === 'public' ? {} : { ca: trust.authorities };
}

/** Of all files, by name. */
function certificatesOf(files: Files): string[] {
  const names = Object.keys(files).toSorted();
  return names.flatMap((name) => files[name]?.match(CERTIFICATE) ?? []);
}
