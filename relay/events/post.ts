/**
 * One request to the receiver of events: HTTPS with a verified certificate, one time limit for everything, no redirect,
 * and nothing of the answer is read but its status. Each request has its own connection: a kept one, or a TLS session
 * that is resumed, would go on with a certificate that is no longer good. Never rejects.
 */
import { type RequestOptions, request } from 'node:https';
import type { SecureContext } from 'node:tls';
import { answerTo } from '../task/httpanswer.ts';
import { ChainlessAgent } from '../task/leavechain.ts';

export type Posted =
  | { readonly kind: 'taken' }
  /**
   * refused: sent again, the same request gets the same answer. too large: the same, because of its size. erred: the
   * receiver broke while it worked on the request, perhaps at one of the events. late: it did not answer in time, perhaps
   * because there were so many. failed: nobody says that the events are the reason.
   */
  | { readonly kind: 'failed' | 'late' | 'erred' | 'refused' | 'too large'; readonly reason: string };

interface PostTerms {
  readonly headers: Readonly<Record<string, string>>;
  readonly context: SecureContext;
  readonly signal: AbortSignal;
}

const WITHIN_MS = 15_000;
const MOST_HEADER_BYTES = 16 * 1024;
/** Of the answers 4xx, these ask for another try (RFC 9110, 8470, 6585). */
const ASK_AGAIN: ReadonlySet<number> = new Set([408, 421, 425, 429]);
const TOO_LARGE = 413;
/** The other answers 5xx tell of the state of a receiver or of a proxy. So does a connection that ends without an answer. */
const BROKE = 500;

export async function post(
  url: string,
  body: Buffer,
  { headers, context, signal }: PostTerms,
): Promise<Posted> {
  const late = AbortSignal.timeout(WITHIN_MS);
  // Node passes the context on to tls.connect, which the types do not know.
  const options: RequestOptions & { secureContext: SecureContext } = {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'content-length': body.length },
    agent: new ChainlessAgent(),
    maxHeaderSize: MOST_HEADER_BYTES,
    secureContext: context,
    rejectUnauthorized: true,
  };
  const made = request(url, options);
  made.end(body);
  try {
    const { statusCode = 0 } = await answerTo(made, AbortSignal.any([signal, late]));
    return judge(statusCode);
  } catch (error) {
    if (late.aborted) return { kind: 'late', reason: 'no answer within 15 s' };
    return { kind: 'failed', reason: (error as Error).message };
  } finally {
    made.destroy();
  }
}

function judge(status: number): Posted {
  if (status >= 200 && status < 300) return { kind: 'taken' };
  const isRefused = status >= 400 && status < 500 && !ASK_AGAIN.has(status);
  const kind =
    status === TOO_LARGE ? 'too large' : isRefused ? 'refused' : status === BROKE ? 'erred' : 'failed';
  const isRedirect = status >= 300 && status < 400;
  return { kind, reason: `HTTP status ${status}${isRedirect ? ', and redirects are not followed' : ''}` };
}
