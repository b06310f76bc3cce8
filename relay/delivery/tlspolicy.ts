/**
 * The TLS of one connection, decided once, before it is made; what makes the connection obeys and decides nothing.
 * Opportunistic is the only level that ever falls back to plain text, and only after a handshake that broke. Pure.
 */
import { isIP } from 'node:net';
import type { TlsVersion } from '#crds/policyfile.ts';
import { requiresTls, type TlsLevel, verifiesPeer } from '#crds/tlslevel.ts';
import type { NextHop } from './courier.ts';

export interface TlsPolicy {
  readonly level: TlsLevel;
  /** Why this level, for people. */
  readonly rule: string;
  /** TLS from the first byte (RFC 8314), or by STARTTLS (RFC 3207); none: plain text on purpose. */
  readonly mode: 'implicit' | 'starttls' | 'none';
  /** The name in SNI (RFC 6066); null: the hop is an address. */
  readonly sni: string | null;
  /** The certificate must have one of these names; empty: no name is asked for. */
  readonly names: readonly string[];
  /** Who may vouch for the certificate: nobody is asked, or an authority of a ConfigMap (null: the public ones). */
  readonly trust: { readonly kind: 'none' } | { readonly kind: 'pkix'; readonly configMap: string | null };
  /** The Secret with the certificate that we present; null: none. */
  readonly identity: string | null;
  readonly minVersion: TlsVersion;
  /** In OpenSSL's notation; null: the runtime's own list. */
  readonly ciphers: string | null;
  readonly mayFallBack: boolean;
}

export function decideTls(hop: NextHop): TlsPolicy {
  const { implicitTLS, tlsLevel, credentialsSecret, trustConfigMap, clientCertificateSecret } = hop;
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
    minVersion: 'TLSv1.2',
    ciphers: null,
    mayFallBack: level === 'Opportunistic' && !implicitTLS,
  };
}

/** After a handshake that broke, where the policy allows it. */
export function fallBack(policy: TlsPolicy): TlsPolicy {
  return {
    ...policy,
    rule: `${policy.rule}, in plain text after a handshake that broke`,
    mode: 'none',
    mayFallBack: false,
  };
}

/** A host may be written with a final dot, so that no search list is asked; certificates and SNI know none. */
function withoutFinalDot(host: string): string {
  return host.replace(/\.$/, '');
}

function nameInSni({ serverName, host }: NextHop): string | null {
  const name = withoutFinalDot(serverName ?? host);
  return isIP(name) === 0 ? name : null;
}

/**
 * As Postfix's "secure": the domain itself, or a host below it. A host that only an MX record names proves nothing by
 * its own name, because the record is not signed.
 */
function listNames({ serverName, host, mxOf }: NextHop): string[] {
  const own = withoutFinalDot(serverName ?? host);
  if (mxOf === undefined || serverName !== null) return [own];
  const domain = withoutFinalDot(mxOf);
  return own.endsWith(`.${domain}`) ? [domain, own] : [domain];
}
