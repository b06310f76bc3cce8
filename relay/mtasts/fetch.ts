/**
 * Fetches the policy of a domain over HTTPS (RFC 8461 section 3.3): port 443 only, a verified certificate with the name
 * of the policy host, no redirect, at most 64 KiB, and one time limit for everything. A failure is a value with a result
 * type of RFC 8460 as its cause.
 */
import type { IncomingMessage } from 'node:http';
import { get, type RequestOptions } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import { type Failure, type FailureCause, makeFailure } from '#crds/failure.ts';
import { hasName } from '../task/certificatename.ts';
import { readPolicy, type StsPolicy } from './policy.ts';

/** RFC 8461 section 3.3. */
const MOST_BYTES = 64 * 1024;
const MOST_HEADER_BYTES = 16 * 1024;
const PATH = '/.well-known/mta-sts.txt';

export type Fetched =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface FetchTerms {
  /** Finds the addresses of the policy host. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  /** The authorities that may sign the certificate of the policy host. */
  readonly context: SecureContext;
  /** Ends the fetch, wherever it is. */
  readonly signal: AbortSignal;
}

export async function fetchPolicy(domain: string, terms: FetchTerms): Promise<Fetched> {
  const host = `mta-sts.${domain}`;
  const answer = await request(host, terms);
  if (answer.kind === 'failed') return fail(host, answer.cause, answer.reason);
  const read = await readPolicy(answer.text);
  return read.kind === 'policy' ? read : fail(host, 'sts-policy-invalid', read.reason);
}

type Answer =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'failed'; readonly cause: FailureCause; readonly reason: string };

function request(host: string, { lookUp, context, signal }: FetchTerms): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  // Node passes the context on to tls.connect, which the types do not know.
  const options: RequestOptions & { secureContext: SecureContext } = {
    host,
    port: 443,
    path: PATH,
    servername: host,
    headers: { accept: 'text/plain' },
    // A connection of its own: an answer never comes over a connection that was verified for something else.
    agent: false,
    maxHeaderSize: MOST_HEADER_BYTES,
    lookup: lookupWith(lookUp),
    secureContext: context,
    rejectUnauthorized: true,
    checkServerIdentity: () => checkName(host, made.socket as TLSSocket),
    signal,
  };
  const made = get(options);
  made.on('socket', leaveChain);
  made.on('response', (response) => {
    void readAnswer(response).then((answer) => {
      resolve(answer);
      made.destroy();
    });
  });
  made.on('error', (error) => resolve(explain(error, made.socket as TLSSocket | null, signal)));
  return promise;
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const { statusCode, headers } = response;
  // A redirect is no policy either (RFC 8461 section 3.3).
  if (statusCode !== 200)
    return { kind: 'failed', cause: 'sts-policy-fetch-error', reason: `HTTP status ${statusCode}` };
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'text/plain')
    return { kind: 'failed', cause: 'sts-policy-invalid', reason: 'its media type is not text/plain' };
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MOST_BYTES)
        return { kind: 'failed', cause: 'sts-policy-fetch-error', reason: 'it is larger than 64 KiB' };
      pieces.push(piece);
    }
  } catch {
    return {
      kind: 'failed',
      cause: 'sts-policy-fetch-error',
      reason: 'it ended too early, or took too long',
    };
  }
  return { kind: 'text', text: Buffer.concat(pieces).toString() };
}

/**
 * Node makes objects of the whole chain for the check of the name, which needs the certificate of the host alone. That
 * is a sixth of the time of a fetch.
 */
function leaveChain(socket: object): void {
  Object.assign(socket, { getPeerCertificate: () => ({}) });
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

function explain(error: Error & { code?: string }, socket: TLSSocket | null, signal: AbortSignal): Answer {
  const reason = signal.aborted ? 'it took too long' : error.message || (error.code ?? 'no answer');
  const isUntrusted = socket?.authorizationError != null && !signal.aborted;
  return { kind: 'failed', cause: isUntrusted ? 'sts-webpki-invalid' : 'sts-policy-fetch-error', reason };
}

function fail(host: string, cause: FailureCause, reason: string): Fetched {
  const text = `Cannot use the MTA-STS policy of https://${host}${PATH}: ${reason}`;
  return { kind: 'failed', failure: makeFailure({ cause, status: '4.7.5', text }) };
}
