/**
 * The login for a next hop, from its Secret: a password (PLAIN or LOGIN), a token, or the data to refresh a token
 * (XOAUTH2). Tokens are kept until they expire. A missing or incomplete Secret gives a reason and never a session
 * without login.
 */
import XOAuth2 from 'nodemailer/lib/xoauth2';
import type { Files, Materials } from '../task/materials.ts';

export type Login =
  | { kind: 'password'; user: string; pass: string }
  | { kind: 'token'; user: string; oauth2: XOAuth2 }
  | { kind: 'unusable'; reason: string };

export class HopCredentials {
  #materials: Materials;
  readonly #made = new Map<string, Login>();

  constructor(materials: Materials) {
    this.#materials = materials;
  }

  use(materials: Materials): void {
    this.#materials = materials;
    this.#made.clear();
  }

  for(secret: string): Login {
    const known = this.#made.get(secret);
    if (known) return known;
    const made = readLogin(secret, this.#materials.secrets[secret] ?? {});
    this.#made.set(secret, made);
    return made;
  }
}

/**
 * True if the hop refused `kept`, an older token, and a new token can be requested. The service withdrew the old token
 * early, so this is not a failed login yet.
 */
export function renewsToken(oauth2: XOAuth2, kept: string | false): boolean {
  if (!kept || oauth2.accessToken !== kept || !oauth2.options.refreshToken) return false;
  oauth2.accessToken = false;
  return true;
}

export function readLogin(secret: string, files: Files): Login {
  const text = (key: string) => files[key]?.trim();
  const [user, pass, token, refreshToken] = ['username', 'password', 'token', 'refreshToken'].map(text);
  if (!user) return { kind: 'unusable', reason: `the Secret "${secret}" is missing or lacks username` };
  if (pass) return { kind: 'password', user, pass };
  if (token) return { kind: 'token', user, oauth2: new XOAuth2({ user, accessToken: token }) };
  if (refreshToken) return refreshed(secret, user, refreshToken, text);
  return {
    kind: 'unusable',
    reason: `the Secret "${secret}" lacks password, token or refreshToken`,
  };
}

function refreshed(
  secret: string,
  user: string,
  refreshToken: string,
  text: (key: string) => string | undefined,
): Login {
  const [clientId, clientSecret, accessUrl] = ['clientId', 'clientSecret', 'tokenURL'].map(text);
  if (!clientId || !clientSecret || !accessUrl) {
    const reason = `the Secret "${secret}" has a refreshToken, but lacks clientId, clientSecret or tokenURL`;
    return { kind: 'unusable', reason };
  }
  // Anybody could read a token that travels in clear text. Loopback is allowed for a token service in the same pod.
  if (!/^https:\/\/|^http:\/\/(127\.0\.0\.1|localhost)[:/]/.test(accessUrl))
    return { kind: 'unusable', reason: `tokenURL of the Secret "${secret}" must begin with https://` };
  return {
    kind: 'token',
    user,
    oauth2: new XOAuth2({ user, clientId, clientSecret, refreshToken, accessUrl }),
  };
}
