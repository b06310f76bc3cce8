/**
 * The TLS levels for delivery, in order of strength. Only this file declares the order, and all code that compares
 * levels uses this file. The names follow Postfix (may, encrypt, secure, dane-only). docs/restart-contract.md explains
 * a change of the level. Pure. Cannot fail.
 */
export const TLS_LEVELS = ['None', 'Opportunistic', 'Encrypt', 'Verify', 'Dane'] as const;

export type TlsLevel = (typeof TLS_LEVELS)[number];

/** Levels that make mail wait. */
export const STRICTER_LEVELS = ['Encrypt', 'Verify', 'Dane'] as const satisfies readonly TlsLevel[];

export type StricterLevel = (typeof STRICTER_LEVELS)[number];

/** The oldest first. Those before TLSv1.2 are exceptions for old peers. */
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

export type TlsVersion = (typeof TLS_VERSIONS)[number];

/** Negative when `a` is weaker than `b`, zero when equal, positive when stronger. */
export function compareTlsLevels(a: TlsLevel, b: TlsLevel): number {
  return TLS_LEVELS.indexOf(a) - TLS_LEVELS.indexOf(b);
}

/** True where mail must wait rather than go out in plain text. */
export function requiresTls(level: TlsLevel): boolean {
  return compareTlsLevels(level, 'Encrypt') >= 0;
}

/** True where the peer's certificate must prove its name. */
export function verifiesPeer(level: TlsLevel): boolean {
  return compareTlsLevels(level, 'Verify') >= 0;
}
