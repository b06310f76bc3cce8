/** From a password to its stored form (storedpassword.ts), with a random salt, and whether a password is that of a form. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { DEFAULT_ITERATIONS, KEY_BYTES, type PasswordHash } from './storedpassword.ts';

const derive = promisify(pbkdf2);
const SALT_BYTES = 16;

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
