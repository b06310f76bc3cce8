/**
 * The stored form of a password: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` in base64, the notation of RFC
 * 5803, which PostgreSQL uses too. One form serves every mechanism. A stolen Secret contains no password, and with
 * SCRAM-SHA-256 not even the relay sees the password at a login. `mailrelay hash` writes this form and the relay reads
 * it.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
const KEY_BYTES = 32;
const SALT_BYTES = 16;

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

export async function hashPassword(
  password: string,
  iterations = DEFAULT_ITERATIONS,
  salt = randomBytes(SALT_BYTES),
): Promise<string> {
  const { storedKey, serverKey } = await deriveKeys(password, salt, iterations);
  const base64 = (bytes: Buffer) => bytes.toString('base64');
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}

export async function passwordMatches(
  { salt, iterations, storedKey }: PasswordHash,
  password: string,
): Promise<boolean> {
  const keys = await deriveKeys(password, salt, iterations);
  return timingSafeEqual(keys.storedKey, storedKey);
}

/** The reason why a password cannot be used; undefined if it can. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'the password is empty';
  if (password.length > 1_024) return 'the password is longer than 1024 characters';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  return /[\x00-\x1f\x7f]/.test(password) ? 'the password has control characters' : undefined;
}

/** The part of SASLprep (RFC 4013) that matters for typed passwords: all kinds of spaces become one, then NFKC. */
function prepared(password: string): string {
  return password.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ').normalize('NFKC');
}

async function deriveKeys(password: string, salt: Buffer, iterations: number) {
  const salted = await derive(prepared(password), salt, iterations, KEY_BYTES, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest();
  return { storedKey, serverKey: hmac('Server Key') };
}
