/**
 * The stored form of a password: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` in base64, the notation of RFC
 * 5803, which PostgreSQL uses too. One form serves every mechanism. A stolen Secret contains no password, and with
 * SCRAM-SHA-256 not even the relay sees the password at a login. `mailrelay hash` writes this form (passwordhash.ts) and
 * the relay reads it. Pure.
 */
export const KEY_BYTES = 32;

/** RFC 7677 section 4 requires at least 4096. More iterations make guessing slower, and each login too. */
export const DEFAULT_ITERATIONS = 32_768;
export const FEWEST_ITERATIONS = 4_096;
/** A larger number in a Secret could stall the relay. */
const MOST_ITERATIONS = 1_000_000;

export interface PasswordHash {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Undefined if this version does not accept the text as a hash. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const [, iterations = '', salt = '', stored = '', server = ''] =
    /^SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)\s*$/.exec(text) ?? [];
  const count = Number(iterations);
  const [saltBytes, storedKey, serverKey] = [salt, stored, server].map((part) => Buffer.from(part, 'base64'));
  if (!saltBytes || storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  if (saltBytes.length < 8 || count < FEWEST_ITERATIONS || count > MOST_ITERATIONS) return undefined;
  return { iterations: count, salt: saltBytes, storedKey, serverKey };
}
