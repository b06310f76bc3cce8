/**
 * The login for a next hop, from its Secret: a password (PLAIN or LOGIN), a token, or a grant for tokens (XOAUTH2,
 * tokengrant.ts). A login with its token lives as long as the contents of its Secret. A missing or incomplete Secret
 * gives a reason and never a session without login.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Files, Materials } from '../task/materials.ts';
import { readGrant } from './tokengrant.ts';
import { fixedToken, TokenSource, type Tokens } from './tokensource.ts';

export type Login =
  | { kind: 'password'; user: string; pass: string }
  | { kind: 'token'; user: string; tokens: Tokens }
  | { kind: 'unusable'; reason: string };

/** SASL forbids control characters (RFC 4013 section 2.3), and a login with NUL would be another login. */
const CONTROL = /\p{Cc}/u;
const LOGIN_KEYS = ['username', 'password', 'token'];

export class HopCredentials {
  #materials: Materials;
  readonly #made = new Map<string, { readonly files: Files; readonly login: Login }>();

  constructor(materials: Materials) {
    this.#materials = materials;
  }

  use(materials: Materials): void {
    this.#materials = materials;
  }

  for(secret: string): Login {
    const files = this.#materials.secrets[secret] ?? {};
    const known = this.#made.get(secret);
    if (known && (known.files === files || isDeepStrictEqual(known.files, files))) return known.login;
    const login = readLogin(secret, files);
    this.#made.set(secret, { files, login });
    return login;
  }
}

export function readLogin(secret: string, files: Files): Login {
  const texts = LOGIN_KEYS.map((key) => files[key]?.trim());
  const [user, pass, token] = texts;
  const controlled = LOGIN_KEYS.find((_, index) => CONTROL.test(texts[index] ?? ''));
  if (controlled)
    return {
      kind: 'unusable',
      reason: `the Secret "${secret}" has a control character or a second line in ${controlled}`,
    };
  if (!user) return { kind: 'unusable', reason: `the Secret "${secret}" is missing or lacks username` };
  if (pass) return { kind: 'password', user, pass };
  if (token) return { kind: 'token', user, tokens: fixedToken(token) };
  const read = readGrant(user, files);
  if (read?.kind === 'grant') return { kind: 'token', user, tokens: new TokenSource(read.grant) };
  const reason = read ? read.reason : 'lacks password, token, serviceAccountKey or clientId';
  return { kind: 'unusable', reason: `the Secret "${secret}" ${reason}` };
}
