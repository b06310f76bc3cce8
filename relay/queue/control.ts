/**
 * The queue tools on a Unix socket in the state folder: HTTP with JSON, for the `mailrelay queue` command. Only a user
 * who may write to the state folder can use it: the socket has mode 0600 in a folder with mode 0700. The router with
 * the queue serves it. Between two routers there is no socket for a moment, and a new router answers when it has loaded
 * the whole queue.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { QUEUE_ACTIONS, type QueueAction, type QueueTools } from './tools.ts';

/** The delivery history, if the policy keeps one. */
export interface FindsMail {
  /** Undefined if it is no query. */
  find(parameters: URLSearchParams): Iterable<unknown> | undefined;
  /** How many there are, up to a bound. Undefined if it is no query. */
  count(parameters: URLSearchParams): number | undefined;
}

/** Recipients that get no mail for some time, if the policy suppresses any. */
export interface SuppressedRecipients {
  list(): Iterable<unknown>;
  lift(addresses: readonly string[]): Promise<unknown>;
}

/** How long an action waits for a message that is being delivered. Most transactions end sooner. */
const DELIVERY_MS = 5_000;

interface Tools {
  readonly queue: QueueTools;
  readonly history: FindsMail | undefined;
  readonly suppressed: SuppressedRecipients | undefined;
}

export interface ControlServer {
  /** Accepts no more requests. Requests under way continue. */
  retire(): void;
  /** Ends the requests under way too. */
  close(): void;
}

/** Rejects if the socket cannot be opened. Removes the socket of an earlier process, which does not serve any more. */
export async function serveControl(path: string, tools: Tools): Promise<ControlServer> {
  const server = createServer((request, response) => {
    answer(tools, request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(`${error.message}\n`);
    });
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    retire: () => server.close(),
    close: () => server.closeAllConnections(),
  };
}

/**
 * GET /queue, GET /queue/ID, GET /queue/ID/message, GET /history?QUERY, GET /history/count?QUERY, GET /suppressed, POST /ACTION, POST /outcomes and
 * POST /lift with {"ids": [...]}. Any other request gets 400 or 404, with the reason as {"error": ...}.
 */
async function answer(
  { queue: tools, history, suppressed }: Tools,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await tools.loaded;
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://relay');
  const [, what = '', id, part] = pathname.split('/');
  if (what === 'suppressed' || what === 'lift') return handleSuppressed(suppressed, what, request, response);
  if (request.method === 'POST') return act(tools, what, request, response);
  if (what === 'history') return find(history, searchParams, id === 'count', response);
  if (what !== 'queue') return send(response, 404, { error: `there is no /${what}` });
  if (id === undefined) return sendLines(tools.list(), response);
  if (part === 'message') return message(tools, id, response);
  const entry = tools.show(id);
  return entry ? send(response, 200, entry) : send(response, 404, { error: `there is no message ${id}` });
}

async function act(
  tools: QueueTools,
  action: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (action !== 'outcomes' && !QUEUE_ACTIONS.includes(action as QueueAction))
    return send(response, 404, { error: `there is no action "${action}"` });
  const ids = await readIds(request);
  if (!ids) return send(response, 400, { error: 'the body must be {"ids": [...]}, with ids of messages' });
  const answer =
    action === 'outcomes'
      ? tools.findOutcomes(ids)
      : await tools.do(action as QueueAction, ids, () => beginPatience(response));
  send(response, 200, answer);
}

/** Nobody would learn of what is done after the client has gone. */
function beginPatience(response: ServerResponse): AbortSignal {
  const left = new AbortController();
  response.once('close', () => left.abort());
  if (response.destroyed) left.abort();
  return AbortSignal.any([left.signal, AbortSignal.timeout(DELIVERY_MS)]);
}

async function readIds(request: IncomingMessage): Promise<string[] | undefined> {
  const { ids } = ((await json(request).catch(() => null)) ?? {}) as { ids?: unknown };
  return Array.isArray(ids) && ids.every((id) => typeof id === 'string') ? ids : undefined;
}

async function handleSuppressed(
  suppressed: SuppressedRecipients | undefined,
  what: 'suppressed' | 'lift',
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!suppressed)
    return send(response, 404, { error: 'this relay suppresses nobody: see queue.suppression' });
  if (what === 'suppressed') return sendLines(suppressed.list(), response);
  const addresses = await readIds(request);
  if (!addresses) return send(response, 400, { error: 'the body must be {"ids": [...]}, with addresses' });
  send(response, 200, await suppressed.lift(addresses));
}

async function find(
  history: FindsMail | undefined,
  parameters: URLSearchParams,
  isCounted: boolean,
  response: ServerResponse,
): Promise<void> {
  if (!history) return send(response, 404, { error: 'this relay keeps no history: set queue.history' });
  const found = isCounted ? history.count(parameters) : history.find(parameters);
  if (found === undefined) return send(response, 400, { error: 'the parameters are not those of a query' });
  return typeof found === 'number' ? send(response, 200, { messages: found }) : sendLines(found, response);
}

/** One line of JSON for each entry, written while they are read. */
async function sendLines(entries: Iterable<unknown>, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  await pipeline(writeLines(entries), response);
}

async function* writeLines(entries: Iterable<unknown>): AsyncGenerator<string> {
  for (const entry of entries) yield `${JSON.stringify(entry)}\n`;
}

async function message(tools: QueueTools, id: string, response: ServerResponse): Promise<void> {
  const body = tools.export(id);
  if (!body) return send(response, 404, { error: `there is no message ${id}, or its body is damaged` });
  response.writeHead(200, { 'content-type': 'message/rfc822' });
  await pipeline(body, response);
}

function send(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
