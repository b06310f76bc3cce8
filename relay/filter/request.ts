/**
 * One request to the filter: the message is streamed once, and the answer is read, both bounded in time and size. HTTPS
 * is verified, and no redirect is followed. Never rejects.
 */
import { Agent, type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { pipeline } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { answerTo, readBody } from '../task/httpanswer.ts';
import { ChainlessAgent } from '../task/leavechain.ts';

export type Asked =
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface AskTerms {
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: AsyncIterable<Buffer>;
  readonly context: SecureContext | undefined;
  readonly withinSeconds: number;
}

const MOST_ANSWER_BYTES = 1024 * 1024;
const MOST_HEADER_BYTES = 16 * 1024;
/** Connections of one process to a filter. Further messages wait, within their time. */
const MOST_CONNECTIONS = 64;

const agents = {
  plain: new Agent({ maxSockets: MOST_CONNECTIONS }),
  // A TLS session that is resumed shows no certificate: it would go on whomever the bundle trusts now.
  secure: new ChainlessAgent({ maxSockets: MOST_CONNECTIONS, maxCachedSessions: 0 }),
};

export async function ask(url: string, terms: AskTerms): Promise<Asked> {
  const late = AbortSignal.timeout(terms.withinSeconds * 1000);
  try {
    return await readResponse(await send(url, terms, late), late);
  } catch (error) {
    return failed(late.aborted ? `no answer within ${terms.withinSeconds} s` : (error as Error).message);
  }
}

function send(
  url: string,
  { headers, body, context }: AskTerms,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const isSecure = url.startsWith('https:');
  // Node passes the context on to tls.connect, which the types do not know.
  const options: RequestOptions & { secureContext: SecureContext | undefined } = {
    method: 'POST',
    // A connection is not used again: a filter may close it just when the next message is sent.
    headers: { ...headers, connection: 'close' },
    agent: isSecure ? agents.secure : agents.plain,
    maxHeaderSize: MOST_HEADER_BYTES,
    secureContext: context,
  };
  const made = isSecure ? requestSecure(url, options) : requestPlain(url, options);
  const { promise: broken, reject } = Promise.withResolvers<never>();
  const answer = Promise.race([answerTo(made, signal), broken]);
  // After an answer before the end of the message, the failure to send the rest means nothing.
  pipeline(body, made, (error) => {
    if (error) reject(error);
  });
  return answer;
}

async function readResponse(response: IncomingMessage, signal: AbortSignal): Promise<Asked> {
  const { statusCode = 0 } = response;
  try {
    if (statusCode !== 200) return failed(describeStatus(statusCode));
    const text = await readBody(response, MOST_ANSWER_BYTES, signal);
    return { kind: 'answer', text: text.toString() };
  } finally {
    response.destroy();
  }
}

function describeStatus(status: number): string {
  if (status === 401 || status === 403) return `HTTP status ${status}, so the password is missing or wrong`;
  const isRedirect = status >= 300 && status < 400;
  return `HTTP status ${status}${isRedirect ? ', and redirects are not followed' : ''}`;
}

function failed(reason: string): Asked {
  return { kind: 'failed', reason };
}
