/**
 * Which authorities verify the other side of a TLS connection: those of a mounted ConfigMap, or the public ones if the
 * field names no ConfigMap. A ConfigMap that is missing, empty or without a certificate trusts nobody. Node uses the
 * public authorities for every `ca` that is an empty text, so only this file makes a `ca`. Pure.
 */
import { X509Certificate } from 'node:crypto';
import type { Files, Materials } from './materials.ts';

export type Trust = { readonly kind: 'public' } | { readonly kind: 'list'; readonly authorities: string[] };

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** `configMap` null: the field names none. */
export function trustFrom({ configMaps }: Materials, configMap: string | null): Trust {
  if (configMap === null) return { kind: 'public' };
  return { kind: 'list', authorities: listCertificates(configMaps[configMap] ?? {}) };
}

/**
 * Why nobody is trusted: a fault of this relay, which says nothing of the other side. Undefined: somebody is. One
 * certificate that can be read is enough.
 */
export function findNobodyTrusted(trust: Trust, configMap: string | null): string | undefined {
  if (trust.kind === 'public' || trust.authorities.some(read)) return undefined;
  return `nobody can be verified: the ConfigMap "${configMap}" has no certificate of an authority`;
}

function read(authority: string): X509Certificate | undefined {
  try {
    return new X509Certificate(authority);
  } catch {
    return undefined;
  }
}

/**
 * For Node. `ca` absent: the public authorities. Empty list: nobody. Whoever is in the list is trusted, whoever issued it: an
 * intermediate authority need not come with its root. But where a root comes with each, its limits (names, dates) count:
 * OpenSSL ends a partial chain at the first certificate of the list, and never looks at the root.
 */
export function makeCa(trust: Trust): { ca?: string[]; allowPartialTrustChain?: true } {
  if (trust.kind === 'public') return {};
  const all = trust.authorities.map((pem) => ({ pem, one: read(pem) }));
  const roots = all.filter(({ one }) => one && isSigned(one, one));
  // OpenSSL takes the first valid one of a name, and would go from one cross-certificate to the next.
  const ca = [...new Set([...roots, ...all])].map(({ pem }) => pem);
  const isWhole = leadToRoots(readable(all), readable(roots));
  return { ca, ...(isWhole ? {} : { allowPartialTrustChain: true }) };
}

const readable = (all: readonly { readonly one: X509Certificate | undefined }[]) =>
  all.flatMap(({ one }) => one ?? []);

/** True if each leads to one of the roots. Authorities may also sign each other, and no root is there. */
function leadToRoots(listed: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  const rooted = new Set(roots);
  for (let before = -1; before < rooted.size; ) {
    before = rooted.size;
    for (const one of listed)
      if (!rooted.has(one) && rooted.values().some((by) => isSigned(one, by))) rooted.add(one);
  }
  return rooted.size === listed.length;
}

/** By name alone a root with a new key would count for what the old one signed. */
function isSigned(one: X509Certificate, by: X509Certificate): boolean {
  try {
    return one.checkIssued(by) && one.verify(by.publicKey);
  } catch {
    // A kind of key that cannot be read.
    return false;
  }
}

/** The certificates of all files, sorted by file name. */
function listCertificates(files: Files): string[] {
  const names = Object.keys(files).toSorted();
  return names.flatMap((name) => files[name]?.match(CERTIFICATE) ?? []);
}
