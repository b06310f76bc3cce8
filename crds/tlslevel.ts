/**
 * TLS levels for delivery, in order of strength. The order is declared once, here; everything that compares
 * levels asks this file. Names follow Postfix (may, encrypt, secure, dane-only); see docs/restart-contract.md
 * for what happens when a level changes. Pure; cannot fail.
 */
export const TLS_LEVELS = ['None', 'Opportunistic', 'Encrypt', 'Verify', 'Dane'] as const;

export type TlsLevel = (typeof TLS_LEVELS)[number];

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
