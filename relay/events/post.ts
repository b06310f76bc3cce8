/**
 * One request to the receiver of events: HTTPS with a verified certificate, one time limit for everything, no redirect,
 * and nothing of the answer counts but its status. Never rejects.
 */
import { Agent, request } from 'node:https';
import type { SecureContext } from 'node:tls';

export type Posted =
  | { readonly kind: 'taken' }
  /**
   * refused: sent again, the same request gets the same answer. erred: the receiver got all of it and broke, perhaps at one of
   * the events. failed: the events cannot be the reason.
   */
  | { readonly kind: 'failed' | 'erred' | 'refused'; readonly reason: string };

interface PostTerms {
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

const WITHIN_MS = 15_000;
const MOST_HEADER_BYTES = 16 * 1024;
/** A connection is used again after an answer with no more than this. */
const MOST_ANSWER_BYTES = 16 * 1024;
/** Servers keep a connection for longer, so none is ended while a request is on its way. */
const KEPT_MS = 500;
/** Of the answers 4xx, these ask for another try (RFC 9110, 8470, 6585). */
const ASK_AGAIN: ReadonlySet<number> = new Set([408, 421, 425, 429]);

/** Whoever trusts others takes another one: a connection that it keeps was verified once. */
export function makeAgent(secureContext: SecureContext): Agent {
  return new Agent({ keepAlive: true, maxFreeSockets: 1, timeout: KEPT_MS, secureContext });
}

export function post(url: string, body: Buffer, { headers, agent, signal }: PostTerms): Promise<Posted> {
  const { promise, resolve } = Promise.withResolvers<Posted>();
  const late = AbortSignal.timeout(WITHIN_MS);
  const made = request(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'content-length': body.length },
    agent,
    maxHeaderSize: MOST_HEADER_BYTES,
    rejectUnauthorized: true,
    signal: AbortSignal.any([signal, late]),
  });
  made.on('response', (answer) => {
    resolve(judge(answer.statusCode ?? 0));
    let bytes = 0;
    answer.on('data', ({ length }: Buffer) => {
      bytes += length;
      if (bytes > MOST_ANSWER_BYTES) made.destroy();
    });
    answer.on('error', () => undefined);
  });
  made.on('error', ({ message }) => {
    const hasGotAll = made.writableFinished && !signal.aborted;
    const reason = late.aborted ? 'no answer within 15 s' : message;
    resolve({ kind: hasGotAll ? 'erred' : 'failed', reason });
  });
  made.end(body);
  return promise;
}

function judge(status: number): Posted {
  if (status >= 200 && status < 300) return { kind: 'taken' };
  if (status >= 400 && status < 500 && !ASK_AGAIN.has(status))
    return { kind: 'refused', reason: `HTTP status ${status}` };
  if (status >= 500) return { kind: 'erred', reason: `HTTP status ${status}` };
  const isRedirect = status >= 300 && status < 400;
  const reason = `HTTP status ${status}${isRedirect ? ', and redirects are not followed' : ''}`;
  return { kind: 'failed', reason };
}
