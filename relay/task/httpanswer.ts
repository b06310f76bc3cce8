/**
 * How every HTTP client of the relay waits: a request settles once, by its answer, its error, its close or its time,
 * whatever the server does. Node alone does not promise that: after an answer 101 a request closes without an answer and
 * without an error, and one that waits for a connection of its agent hears of no end.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';

const LATE = 'it took too long';
const ENDED = 'the connection ended without an answer';
/** Answers 1xx before the answer. A server that never stops sending them would cost CPU until the time is over. */
const MOST_INTERIM = 20;

/** Resolves with the head of the answer. Otherwise rejects, and then the request has ended. */
export function answerTo(made: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const fail = (why: string | Error) => {
    reject(why instanceof Error ? why : new Error(why));
    made.destroy();
  };
  const late = () => fail(LATE);
  const tellStatus = ({ statusCode }: IncomingMessage) => fail(`HTTP status ${statusCode}`);
  let interim = 0;
  made.on('information', () => {
    interim += 1;
    if (interim > MOST_INTERIM) fail(`more than ${MOST_INTERIM} answers 1xx`);
  });
  made.on('upgrade', (head, socket) => {
    socket.destroy();
    tellStatus(head);
  });
  // Of an answer 101 that names no protocol, Node makes a response.
  made.on('response', (head) => ((head.statusCode ?? 0) < 200 ? tellStatus(head) : resolve(head)));
  // They stay after the answer, when nobody else hears of a connection that breaks.
  made.on('error', reject);
  made.on('close', () => reject(new Error(ENDED)));
  // The request hears nothing of a connection that ended before the request had it, nor why.
  made.on('socket', ({ destroyed, errored }) => destroyed && fail(errored ?? ENDED));
  if (signal.aborted) late();
  signal.addEventListener('abort', late, { once: true });
  return promise.finally(() => signal.removeEventListener('abort', late));
}

/**
 * True if the answer says itself where its body ends: by a length or by chunks. If not, the end of the connection is the end
 * of the body (RFC 9112 section 6.3), and over TLS Node does not tell an end that the server proves from one that anybody
 * can forge.
 */
export function tellsItsEnd({ headers, statusCode }: IncomingMessage): boolean {
  const isChunked = /(^|,)\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '');
  return isChunked || headers['content-length'] !== undefined || statusCode === 204 || statusCode === 304;
}

/** Rejects if the body is longer, is cut off, or does not end in time. Afterwards the answer has ended. */
export function readBody(answer: IncomingMessage, mostBytes: number, signal: AbortSignal): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const { socket } = answer;
  // Node ends the body where the connection ends, however that ends.
  const isWhole = () => tellsItsEnd(answer) || socket.readableEnded;
  const cutOff = () => reject(new Error('the answer ended too early'));
  const pieces: Buffer[] = [];
  let bytes = 0;
  const late = () => reject(new Error(LATE));
  answer.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > mostBytes) reject(new Error(`the answer is longer than ${mostBytes / 1024} KiB`));
    else pieces.push(piece);
  });
  answer.on('end', () => (isWhole() ? resolve(Buffer.concat(pieces)) : cutOff()));
  for (const event of ['error', 'close']) answer.on(event, cutOff);
  if (signal.aborted) late();
  signal.addEventListener('abort', late, { once: true });
  return promise.finally(() => {
    signal.removeEventListener('abort', late);
    answer.destroy();
  });
}
