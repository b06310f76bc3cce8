/**
 * Sends a TLS report by HTTPS (RFC 8460 section 5.4): a verified certificate, no redirect, one time limit for everything,
 * and nothing of the answer is read but its status. The address comes from a stranger's record, so only public addresses
 * are connected to: nobody makes this relay post into its own network.
 */

import { type RequestOptions, request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import { isPublic } from '../delivery/foreignaddress.ts';
import { answerTo } from '../task/httpanswer.ts';
import { ChainlessAgent } from '../task/leavechain.ts';

export type Sent =
  | { readonly kind: 'sent' }
  /** `permanent`: another try would have the same result. */
  | { readonly kind: 'failed'; readonly reason: string; readonly permanent: boolean };

export interface PostTerms {
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  readonly context: SecureContext;
  readonly signal: AbortSignal;
}

const MOST_HEADER_BYTES = 16 * 1024;

export async function postReport(
  url: string,
  packed: Buffer,
  { lookUp, context, signal }: PostTerms,
): Promise<Sent> {
  const { hostname } = new URL(url);
  const literal = hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0) return fail('it names an address in place of a host', true);
  // Node passes the context on to tls.connect, which the types do not know.
  const options: RequestOptions & { secureContext: SecureContext } = {
    method: 'POST',
    headers: { 'content-type': 'application/tlsrpt+gzip', 'content-length': packed.length },
    agent: new ChainlessAgent(),
    maxHeaderSize: MOST_HEADER_BYTES,
    lookup: lookUpPublic(lookUp),
    secureContext: context,
    rejectUnauthorized: true,
  };
  const made = request(url, options);
  made.end(packed);
  try {
    const { statusCode = 0 } = await answerTo(made, signal);
    return judgeStatus(statusCode);
  } catch (error) {
    return fail((error as Error).message, false);
  } finally {
    made.destroy();
  }
}

/** A redirect is not followed. What the host refuses today it refuses tomorrow, except where it says otherwise. */
function judgeStatus(status: number): Sent {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  const isTemporary = status >= 500 || status === 408 || status === 429;
  return fail(`HTTP status ${status}`, !isTemporary);
}

function lookUpPublic(lookUp: PostTerms['lookUp']): LookupFunction {
  return (host, { all }, done) => {
    lookUp(host).then(
      (addresses) => {
        const found = addresses
          .filter(isPublic)
          .map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const [first] = found;
        if (!first) done(new Error(`${host} has no public address`), '');
        else if (all) done(null, found);
        else done(null, first.address, first.family);
      },
      (error) => done(error, ''),
    );
  };
}

function fail(reason: string, permanent: boolean): Sent {
  return { kind: 'failed', reason, permanent };
}
