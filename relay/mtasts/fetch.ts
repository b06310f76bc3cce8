/**
 * Fetches the policy of a domain over HTTPS (RFC 8461 section 3.3): port 443 only, a verified certificate with the name
 * of the policy host, no redirect, at most 64 KiB, and one time limit for everything. A failure is a value with a result
 * type of RFC 8460 as its cause.
 */
import { get, type IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { judgeCertificateError } from '#crds/certificateerror.ts';
import { type Failure, type FailureCause, makeFailure } from '#crds/failure.ts';
import { describeSystemError, lacksMeans } from '#crds/systemwords.ts';
import { hasName } from '../task/certificatename.ts';
import { answerTo, readBody, tellsItsEnd } from '../task/httpanswer.ts';
import { leaveChain } from '../task/leavechain.ts';
import type { makeCa } from '../task/trust.ts';
import type { StsPolicy } from './policy.ts';
import { readPolicy } from './policyparser.ts';

/** RFC 8461 section 3.3. */
const MOST_BYTES = 64 * 1024;
const MOST_HEADER_BYTES = 16 * 1024;
const PORT = 443;
const PATH = '/.well-known/mta-sts.txt';
/**
 * Without the groups that withstand a quantum computer: OpenSSL makes a key of such a group for each connection, which is a
 * fifth of the time of a handshake. They keep a secret for later years, and a policy is public.
 */
const GROUPS = 'X25519:P-256:P-384:P-521';

export type Fetched =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface FetchTerms {
  /** Finds the addresses of the policy host. Rejects with `Unasked` where no name server is reached. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  /** The authorities that may sign the certificate of the policy host. */
  readonly context: SecureContext;
  /** Ends the fetch, wherever it is. */
  readonly signal: AbortSignal;
}

/** `trusted`: as Node takes it. Reading all authorities takes long, so all fetches share one context. */
export function makeFetchContext(trusted: ReturnType<typeof makeCa>): SecureContext {
  return createSecureContext({ ...trusted, ecdhCurve: GROUPS });
}

export async function fetchPolicy(domain: string, terms: FetchTerms): Promise<Fetched> {
  const host = `mta-sts.${domain}`;
  const answer = await request(host, terms);
  if (answer.kind === 'failed') return fail(host, answer.cause, answer.reason, answer.mayPass);
  const read = await readPolicy(answer.text);
  return read.kind === 'policy' ? read : fail(host, 'sts-policy-invalid', read.reason);
}

type Answer =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'failed';
      readonly cause: FailureCause;
      readonly reason: string;
      readonly mayPass?: true | undefined;
    };

async function request(host: string, terms: FetchTerms): Promise<Answer> {
  const { signal } = terms;
  const socket = connectTo(host, terms);
  const made = get({
    host,
    // The name alone stands in the Host header.
    defaultPort: PORT,
    port: PORT,
    path: PATH,
    headers: { accept: 'text/plain' },
    // A connection of its own: an answer never comes over a connection that was verified for something else.
    createConnection: () => socket,
    maxHeaderSize: MOST_HEADER_BYTES,
  });
  try {
    return await readAnswer(await answerTo(made, signal), signal);
  } catch (error) {
    return explain(error as Error, socket, signal);
  } finally {
    made.destroy();
  }
}

function connectTo(host: string, { lookUp, context }: FetchTerms): TLSSocket {
  const socket: TLSSocket = connect({
    host,
    port: PORT,
    servername: host,
    lookup: lookupWith(lookUp),
    secureContext: context,
    rejectUnauthorized: true,
    checkServerIdentity: () => checkName(host, socket),
  });
  return leaveChain(socket);
}

async function readAnswer(response: IncomingMessage, signal: AbortSignal): Promise<Answer> {
  const { statusCode, headers } = response;
  // A redirect is no policy either (RFC 8461 section 3.3).
  if (statusCode !== 200)
    return { kind: 'failed', cause: 'sts-policy-fetch-error', reason: `HTTP status ${statusCode}` };
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'text/plain')
    return { kind: 'failed', cause: 'sts-policy-invalid', reason: 'its media type is not text/plain' };
  // A part of a policy is a policy too: with fewer hosts, or for a shorter time.
  if (!tellsItsEnd(response))
    return { kind: 'failed', cause: 'sts-policy-fetch-error', reason: 'it may be cut off: it has no length' };
  const body = await readBody(response, MOST_BYTES, signal);
  return { kind: 'text', text: body.toString() };
}

function checkName(host: string, socket: TLSSocket): Error | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate && hasName(certificate, host, 'san')
    ? undefined
    : new Error('the certificate has another name');
}

/** The library may try several addresses. */
function lookupWith(lookUp: FetchTerms['lookUp']): LookupFunction {
  return (host, { all }, done) => {
    lookUp(host).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const [first] = found;
        if (!first) done(new Error('it has no address'), '');
        else if (all) done(null, found);
        else done(null, first.address, first.family);
      },
      (error) => done(error, ''),
    );
  };
}

/** The host was not asked, for want of means, or of a name server: this says nothing of its policy. */
export class Unasked extends Error {}

function isOurs(error: Error & { readonly errors?: readonly Error[] }): boolean {
  // Node tries one address after the other, and joins what becomes of them.
  return error instanceof Unasked || [error, ...(error.errors ?? [])].some(lacksMeans);
}

function explain(error: Error & { code?: string }, socket: TLSSocket, signal: AbortSignal): Answer {
  if (isOurs(error)) return { kind: 'failed', cause: 'local', reason: describeSystemError(error) };
  const reason = error.message || (error.code ?? 'no answer');
  const isUntrusted = socket.authorizationError != null && !signal.aborted;
  if (!isUntrusted) return { kind: 'failed', cause: 'sts-policy-fetch-error', reason };
  const { mayPass } = judgeCertificateError(`${socket.authorizationError}`);
  return { kind: 'failed', cause: 'sts-webpki-invalid', reason, mayPass };
}

function fail(host: string, cause: FailureCause, reason: string, mayPass?: true): Fetched {
  const text = `Cannot use the MTA-STS policy of https://${host}${PATH}: ${reason}`;
  const facts = { cause, status: '4.7.5', text, ...(mayPass ? { mayPass } : {}) };
  return { kind: 'failed', failure: makeFailure(facts) };
}
