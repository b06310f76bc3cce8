/**
 * Decides the TLS policy of one connection before the connection is made. The code that connects obeys and decides
 * nothing. Only Opportunistic ever falls back to plain text, and only after a broken handshake. Pure.
 */
import { isIP } from 'node:net';
import { requiresTls, type TlsLevel, type TlsVersion, verifiesPeer } from '#crds/tlslevel.ts';
import type { NextHop } from './courier.ts';
import { plainName } from './hostname.ts';

export interface TlsPolicy {
  readonly level: TlsLevel;
  /** The reason for this level, for people. */
  readonly rule: string;
  /** implicit: TLS from the first byte (RFC 8314). starttls: RFC 3207. none: plain text on purpose. */
  readonly mode: 'implicit' | 'starttls' | 'none';
  /** The SNI name (RFC 6066). null: the hop is an address. */
  readonly sni: string | null;
  /** The certificate must have one of these names. Empty: the name is not checked. */
  readonly names: readonly string[];
  /**
   * Which authorities may sign the certificate. none: it is not checked. pkix: the authorities of a ConfigMap (null:
   * the public ones).
   */
  readonly trust: { readonly kind: 'none' } | { readonly kind: 'pkix'; readonly configMap: string | null };
  /** The Secret with our client certificate. null: none. */
  readonly identity: string | null;
  readonly strength: TlsStrength;
  readonly mayFallBack: boolean;
}

/** The weakest encryption that the connection accepts. */
interface TlsStrength {
  readonly minVersion: TlsVersion;
  /** In OpenSSL's notation. null: the default list of the runtime. */
  readonly ciphers: string | null;
  /** The size of a Diffie-Hellman group, in bits. */
  readonly minDhBits: number;
}

/**
 * Opportunistic: any encryption is better than plain text, so every cipher that encrypts is accepted, from TLS 1.0 on
 * (as Postfix's "may"). Anonymous ciphers come last, because they have no certificate that could be judged.
 */
const ANY: TlsStrength = { minVersion: 'TLSv1', ciphers: 'ALL:!eNULL:+aNULL:@SECLEVEL=0', minDhBits: 1 };
const USUAL_DH_BITS = 1024;

export function decideTls(hop: NextHop): TlsPolicy {
  const { implicitTLS, tlsLevel, credentialsSecret, trustConfigMap, clientCertificateSecret, minTlsVersion } =
    hop;
  const raised = credentialsSecret !== null && !requiresTls(tlsLevel);
  const level = raised ? 'Encrypt' : tlsLevel;
  return {
    level,
    rule: raised ? `level ${tlsLevel}, raised because a login is never sent in clear` : `level ${tlsLevel}`,
    mode: implicitTLS ? 'implicit' : level === 'None' ? 'none' : 'starttls',
    sni: nameInSni(hop),
    names: verifiesPeer(level) ? listNames(hop) : [],
    trust: verifiesPeer(level) ? { kind: 'pkix', configMap: trustConfigMap } : { kind: 'none' },
    identity: clientCertificateSecret,
    strength: level === 'Opportunistic' ? ANY : strengthFrom(minTlsVersion),
    mayFallBack: level === 'Opportunistic' && !implicitTLS,
  };
}

/** OpenSSL has the versions below 1.2 at its security level 0 only. */
function strengthFrom(minVersion: TlsVersion): TlsStrength {
  const ciphers = isOldVersion(minVersion) ? 'DEFAULT:@SECLEVEL=0' : null;
  return { minVersion, ciphers, minDhBits: USUAL_DH_BITS };
}

export function isOldVersion(version: TlsVersion): boolean {
  return version === 'TLSv1' || version === 'TLSv1.1';
}

/** The policy for the second try after a broken handshake, if this policy allows plain text. */
export function fallBack(policy: TlsPolicy): TlsPolicy {
  return {
    ...policy,
    rule: `${policy.rule}, in plain text after a handshake that broke`,
    mode: 'none',
    mayFallBack: false,
  };
}

function nameInSni({ serverName, host }: NextHop): string | null {
  const name = plainName(serverName ?? host);
  return isIP(name) === 0 ? name : null;
}

/**
 * As Postfix's "secure": the certificate must name the domain or a host below it. The name of an MX host proves
 * nothing, because MX records are not signed.
 */
function listNames({ serverName, host, mxOf }: NextHop): string[] {
  const own = plainName(serverName ?? host);
  if (mxOf === undefined || serverName !== null) return [own];
  const domain = plainName(mxOf);
  return own.endsWith(`.${domain}`) ? [domain, own] : [domain];
}
