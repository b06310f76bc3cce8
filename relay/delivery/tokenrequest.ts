/**
 * Asks a token service for one token, with oauth4webapi. Every end is a value: a token, a refusal that a person must
 * mend, or a service that gives none now. No text holds a secret: of an answer only its codes are kept.
 */
import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretPost,
  customFetch,
  genericTokenEndpointRequest,
  modifyAssertion,
  PrivateKeyJwt,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import { type LoginProblem, readTokenProblem } from '#crds/loginproblems.ts';
import { wall } from '../task/clock.ts';
import type { TokenGrant } from './tokengrant.ts';

export type TokenAnswer =
  | {
      readonly kind: 'token';
      readonly token: string;
      /** Seconds. Undefined: the service does not say. */
      readonly lifetime: number | undefined;
      /** A service may replace the refresh token at each use. */
      readonly refreshToken: string | undefined;
    }
  | { readonly kind: 'refused'; readonly problem: LoginProblem }
  | { readonly kind: 'unavailable'; readonly reason: string };

const REQUEST_MS = 20_000;
const ANSWER_BYTES = 256 * 1024;
/** As Google allows at most (RFC 7523 section 3 asks for a short time). */
const ASSERTION_SECONDS = 300;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

export async function requestToken(grant: TokenGrant): Promise<TokenAnswer> {
  const host = new URL(grant.tokenURL).host;
  try {
    return readAnswer(await ask(grant));
  } catch (error) {
    if (!(error instanceof ResponseBodyError)) return unavailable(host, explain(error));
    const { error: code, error_description: description = '', status } = error;
    const problem = readTokenProblem(code, description);
    return problem.isTemporary || status >= 500 || status === 429
      ? unavailable(host, `${problem.code}, status ${status}`)
      : { kind: 'refused', problem };
  }
}

function readAnswer(answer: TokenEndpointResponse): TokenAnswer {
  return {
    kind: 'token',
    token: answer.access_token,
    lifetime: answer.expires_in,
    refreshToken: answer.refresh_token,
  };
}

async function ask(grant: TokenGrant): Promise<TokenEndpointResponse> {
  const service = { issuer: new URL(grant.tokenURL).origin, token_endpoint: grant.tokenURL };
  const client = { client_id: grant.kind === 'service account' ? grant.email : grant.clientId };
  const { type, parameters, auth } = await prepare(grant);
  const scope = grant.scope === null ? {} : { scope: grant.scope };
  const response = await genericTokenEndpointRequest(
    service,
    client,
    auth,
    type,
    { ...(grant.kind === 'service account' ? {} : scope), ...parameters },
    { signal: AbortSignal.timeout(REQUEST_MS), [allowInsecureRequests]: true, [customFetch]: fetchAnswer },
  );
  return processGenericTokenEndpointResponse(service, client, response);
}

interface Prepared {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly auth: ClientAuth;
}

async function prepare(grant: TokenGrant): Promise<Prepared> {
  switch (grant.kind) {
    case 'refresh token': {
      const parameters = { refresh_token: grant.refreshToken };
      return { type: 'refresh_token', parameters, auth: ClientSecretPost(grant.clientSecret) };
    }
    case 'client secret':
      return { type: 'client_credentials', parameters: {}, auth: ClientSecretPost(grant.clientSecret) };
    case 'client certificate':
      return { type: 'client_credentials', parameters: {}, auth: authByCertificate(grant) };
    case 'service account':
      // The assertion itself names the client.
      return {
        type: JWT_BEARER,
        parameters: { assertion: await signAssertion(grant) },
        auth: () => undefined,
      };
  }
}

/** Microsoft finds the certificate by its thumbprint, and wants PS256 with it. */
function authByCertificate(grant: TokenGrant & { kind: 'client certificate' }): ClientAuth {
  return PrivateKeyJwt(signingKey(grant.key), {
    [modifyAssertion]: (header, payload) => {
      header['x5t#S256'] = grant.thumbprint;
      payload['aud'] = grant.tokenURL;
    },
  });
}

function signingKey(key: KeyObject): CryptoKey {
  return key.toCryptoKey({ name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']);
}

function signAssertion({
  email,
  keyId,
  key,
  subject,
  scope,
  tokenURL,
}: TokenGrant & { kind: 'service account' }): Promise<string> {
  const now = Math.floor(wall() / 1000);
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) })
    .setIssuer(email)
    .setSubject(subject)
    .setAudience(tokenURL)
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_SECONDS)
    .sign(key);
}

/** Bounds the answer. An ID token says who signed in, which nobody asks here, so it is not verified and goes. */
async function fetchAnswer(url: string, options: object): Promise<Response> {
  const { status, headers, body } = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES) throw new TypeError('the answer is too long');
    chunks.push(chunk);
  }
  const type = headers.get('content-type') ?? '';
  return new Response(withoutIdToken(Buffer.concat(chunks).toString()), {
    status,
    headers: { 'content-type': type },
  });
}

function withoutIdToken(text: string): string {
  try {
    const { id_token: _, ...answer } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return JSON.stringify(answer);
  } catch {
    return text;
  }
}

/** Only words of our own and of the system: an error of the library may quote the answer. */
function explain(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { readonly code?: unknown } };
  if (name === 'TimeoutError') return 'no answer in time';
  if (cause instanceof Response && !cause.ok) return `status ${cause.status}`;
  const code = typeof cause?.code === 'string' && /^[A-Z0-9_]+$/.test(cause.code) ? cause.code : undefined;
  if (code !== undefined) return code;
  return message === 'the answer is too long' ? message : 'its answer is no answer of a token service';
}

function unavailable(host: string, reason: string): TokenAnswer {
  return { kind: 'unavailable', reason: `the token service ${host} gives no token: ${reason}` };
}
