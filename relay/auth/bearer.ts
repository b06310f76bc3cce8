/**
 * The SASL mechanisms for tokens: OAUTHBEARER (RFC 7628 section 3.1) and XOAUTH2. The token itself names its subject.
 * The user name beside it is ignored. Pure and total.
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
