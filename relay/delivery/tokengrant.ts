/**
 * How the relay asks a token service for tokens, from the Secret of a next hop (RFC 6749 sections 4.4 and 6, RFC 7523).
 * The keys of the Secret say which grant it is. A Secret that is incomplete gives a reason with its cure. Pure.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Files } from '../task/materials.ts';

interface Asked {
  readonly tokenURL: string;
  /** null: the service has a default. */
  readonly scope: string | null;
}

interface ClientSecret extends Asked {
  readonly clientId: string;
  readonly clientSecret: string;
}

export type TokenGrant =
  | (ClientSecret & { readonly kind: 'refresh token'; readonly refreshToken: string })
  | (ClientSecret & { readonly kind: 'client secret' })
  /** A signed assertion in place of a client secret (RFC 7523 section 2.2). */
  | (Asked & {
      readonly kind: 'client certificate';
      readonly clientId: string;
      readonly key: KeyObject;
      /** SHA-256 of the certificate, by which the service finds it. */
      readonly thumbprint: string;
    })
  /** A service account of Google in the name of a mailbox (RFC 7523 section 2.1). */
  | (Asked & {
      readonly kind: 'service account';
      readonly email: string;
      readonly keyId: string | undefined;
      readonly key: KeyObject;
      readonly subject: string;
    });

export type ReadGrant =
  | { readonly kind: 'grant'; readonly grant: TokenGrant }
  /** `reason` completes the sentence "the Secret ...". */
  | { readonly kind: 'unusable'; readonly reason: string };

const GOOGLE_SCOPE = 'https://mail.google.com/';
const MICROSOFT_SCOPE = 'https://outlook.office365.com/.default';
const MICROSOFT = /^https:\/\/login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn)\//;

/** Undefined if the Secret names no grant. */
export function readGrant(user: string, files: Files): ReadGrant | undefined {
  const text = (key: string) => files[key]?.trim() || undefined;
  const account = text('serviceAccountKey');
  if (account !== undefined) return readServiceAccount(user, account, text('scope') ?? null);
  const [clientId, tokenURL] = [text('clientId'), text('tokenURL')];
  const [refreshToken, clientSecret, certificate] = [
    text('refreshToken'),
    text('clientSecret'),
    text('tls.crt'),
  ];
  if ([clientId, tokenURL, refreshToken, clientSecret, certificate].every((one) => one === undefined))
    return undefined;
  if (!clientId || !tokenURL) return unusable('lacks clientId or tokenURL');
  const fault = findAddressFault(tokenURL);
  if (fault !== undefined) return unusable(`has a tokenURL that ${fault}`);
  const asked = { tokenURL, scope: text('scope') ?? null };
  if (refreshToken)
    return clientSecret
      ? { kind: 'grant', grant: { kind: 'refresh token', ...asked, clientId, clientSecret, refreshToken } }
      : unusable('has a refreshToken, but lacks clientSecret');
  const withScope = { ...asked, scope: asked.scope ?? (MICROSOFT.test(tokenURL) ? MICROSOFT_SCOPE : null) };
  if (clientSecret)
    return { kind: 'grant', grant: { kind: 'client secret', ...withScope, clientId, clientSecret } };
  if (certificate) return readCertificate(clientId, certificate, text('tls.key'), withScope);
  return unusable('has a clientId, but lacks clientSecret, or tls.crt and tls.key');
}

function readCertificate(
  clientId: string,
  certificate: string,
  keyText: string | undefined,
  asked: Asked,
): ReadGrant {
  try {
    const pair = new X509Certificate(certificate);
    const key = createPrivateKey(keyText ?? '');
    if (key.asymmetricKeyType !== 'rsa') return unusable('has a tls.key that is not RSA: make an RSA key');
    if (!pair.checkPrivateKey(key)) return unusable('has a tls.key that does not belong to tls.crt');
    const thumbprint = Buffer.from(pair.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');
    return { kind: 'grant', grant: { kind: 'client certificate', ...asked, clientId, key, thumbprint } };
  } catch {
    return unusable('lacks tls.key, or has a tls.crt or tls.key that is not PEM');
  }
}

/** The file that the console of Google gives. */
function readServiceAccount(subject: string, text: string, scope: string | null): ReadGrant {
  const wrong = 'has a serviceAccountKey that is not the JSON file of a service account key of Google';
  try {
    const file = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { client_email: email, private_key: pem, private_key_id: keyId, token_uri: tokenURL } = file;
    if (typeof email !== 'string' || typeof pem !== 'string' || typeof tokenURL !== 'string')
      return unusable(wrong);
    const fault = findAddressFault(tokenURL);
    if (fault !== undefined) return unusable(`has a serviceAccountKey whose token_uri ${fault}`);
    const grant = {
      kind: 'service account',
      tokenURL,
      scope: scope ?? GOOGLE_SCOPE,
      email,
      keyId: typeof keyId === 'string' ? keyId : undefined,
      key: createPrivateKey(pem),
      subject,
    } as const;
    return { kind: 'grant', grant };
  } catch {
    return unusable(wrong);
  }
}

/** Anybody could read a token that travels in clear text. Loopback is allowed for a token service in the same pod. */
function findAddressFault(url: string): string | undefined {
  const isSafe = /^https:\/\/|^http:\/\/(127\.0\.0\.1|localhost)[:/]/.test(url) && URL.canParse(url);
  return isSafe ? undefined : 'must begin with https://';
}

function unusable(reason: string): ReadGrant {
  return { kind: 'unusable', reason };
}
