/**
 * How clients show a token: OAUTHBEARER (RFC 7628 section 3.1) and XOAUTH2. Whom a token speaks for is in the token; the
 * user that is named beside it means nothing. Pure and total.
 */

/** The token of a decoded initial response of OAUTHBEARER, or undefined. */
export function oauthBearerToken(response: string): string | undefined {
  const [header = '', ...fields] = response.split('\x01');
  // gs2-header as in SCRAM; a channel binding that is demanded cannot be had.
  if (!/^[ny],(?:a=[^,]*)?,$/.test(header)) return undefined;
  const auth = fields.find((field) => field.startsWith('auth='));
  return /^auth=Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(auth ?? '')?.[1];
}

/** What a client hears before its refusal (RFC 7628 section 3.2.2), in base64. */
export const BEARER_REFUSED = Buffer.from(
  JSON.stringify({ status: 'invalid_token', schemes: 'bearer' }),
).toString('base64');
