/**
 * Tokens in SASL: OAUTHBEARER (RFC 7628 section 3.1), XOAUTH2, and a token in place of a password. The token itself names
 * its subject. The user name beside it is ignored. Pure and total.
 */

/** The token in a decoded initial response of OAUTHBEARER, or undefined. */
export function oauthBearerToken(response: string): string | undefined {
  const [header = '', ...fields] = response.split('\x01');
  // The gs2-header as in SCRAM. A demanded channel binding is refused, because we offer none.
  if (!/^[ny],(?:a=[^,]*)?,$/.test(header)) return undefined;
  const auth = fields.find((field) => field.startsWith('auth='));
  return /^auth=Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(auth ?? '')?.[1];
}

/** The challenge before a refusal (RFC 7628 section 3.2.2), in base64. */
export const BEARER_REFUSED = Buffer.from(
  JSON.stringify({ status: 'invalid_token', schemes: 'bearer' }),
).toString('base64');

/** True for a signed token in its compact form (RFC 7515 section 3.1). Nobody has such a password by chance. */
export function isToken(password: string): boolean {
  const [, header] = /^([\w-]+)\.[\w-]+\.[\w-]+$/.exec(password) ?? [];
  try {
    const read: unknown = JSON.parse(Buffer.from(header ?? '', 'base64url').toString());
    return typeof read === 'object' && read !== null && 'alg' in read;
  } catch {
    return false;
  }
}
