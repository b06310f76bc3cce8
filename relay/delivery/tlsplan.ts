/**
 * How one connection to a next hop is made: (level, implicit TLS, attempt) -> options, and whether a failure may be
 * followed by plain text. Opportunistic is the only level that ever falls back, and only after a failed handshake:
 * nodemailer by itself covers a refused STARTTLS reply, not a handshake that breaks. Pure.
 */
import { requiresTls, type TlsLevel, verifiesPeer } from '#crds/tlslevel.ts';

export interface TlsPlan {
  readonly secure: boolean;
  readonly ignoreTLS: boolean;
  readonly requireTLS: boolean;
  readonly opportunisticTLS: boolean;
  /** The one place where verification is ever switched off. */
  readonly rejectUnauthorized: boolean;
  /** True where a broken handshake may be followed by a connection in plain text. */
  readonly mayFallBack: boolean;
}

export type Attempt = 'First' | 'AfterBrokenHandshake';

export function planTls(level: TlsLevel, implicitTLS: boolean, attempt: Attempt): TlsPlan {
  const plain = level === 'None' || (level === 'Opportunistic' && attempt === 'AfterBrokenHandshake');
  return {
    secure: implicitTLS,
    ignoreTLS: !implicitTLS && plain,
    requireTLS: !implicitTLS && requiresTls(level),
    opportunisticTLS: !implicitTLS && !plain && !requiresTls(level),
    rejectUnauthorized: verifiesPeer(level),
    mayFallBack: level === 'Opportunistic' && !implicitTLS && attempt === 'First',
  };
}
