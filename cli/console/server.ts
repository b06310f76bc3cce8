/**
 * Serves the console on the loopback address: the files of the page, and the answers to it. access.ts decides who may ask.
 * Nothing is kept by the browser, and no other site may show or read the page.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeSystemError } from '#crds/systemwords.ts';
import { visibleLines } from '#crds/visible.ts';
import { type Asked, Doorkeeper } from './access.ts';
import { Answers, RequestFault } from './answers.ts';
import { type Asset, CONTENT_POLICY, loadAssets } from './assets.ts';
import type { Relays } from './relays.ts';

const ADDRESS = '127.0.0.1';
const MOST_BYTES = 1024 * 1024;
const HEADERS = {
  'content-security-policy': CONTENT_POLICY,
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export interface RunningConsole {
  /** With the token, so it opens one session only. */
  readonly url: string;
  close(): void;
}

interface Console {
  readonly doorkeeper: Doorkeeper;
  readonly answers: Answers;
  readonly assets: ReadonlyMap<string, Asset>;
}

export async function startConsole(
  relays: Relays,
  { port, allowsChanges }: { readonly port: number; readonly allowsChanges: boolean },
): Promise<RunningConsole> {
  const secrets = { token: newSecret(), session: newSecret() };
  const assets = loadAssets();
  const answers = new Answers(relays, allowsChanges);
  const server = createServer((request, response) => {
    serve({ doorkeeper, answers, assets }, request, response).catch((error: Error) => {
      const code = error instanceof RequestFault ? 400 : 502;
      sendJson(response, code, { error: error.message });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new Error(
          `Cannot serve the console at port ${port}: ${describeSystemError(error)}; choose another by --port, or leave it out`,
        ),
      ),
    );
    server.listen(port, ADDRESS, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const doorkeeper = new Doorkeeper(secrets, bound, allowsChanges);
  return {
    url: `http://${ADDRESS}:${bound}/?token=${secrets.token}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

async function serve(
  { doorkeeper, answers, assets }: Console,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://console');
  const access = doorkeeper.judge(describeRequest(request, pathname === '/' ? searchParams : undefined));
  switch (access.kind) {
    case 'refused':
      return refuse(response, pathname, access.code, access.message);
    case 'opened':
      response.writeHead(303, { ...HEADERS, 'set-cookie': access.cookie, location: '/' }).end();
      return;
    case 'allowed': {
      if (request.method === 'POST' && pathname === '/api/act')
        return sendJson(response, 200, await answers.act(await readBody(request)));
      const asked = pathname.startsWith('/api/') ? pathname.slice('/api/'.length) : undefined;
      const answer = asked === undefined ? undefined : answers.answer(asked, searchParams);
      if (answer) return sendJson(response, 200, await answer);
      const asset = assets.get(pathname);
      if (asset && request.method === 'GET') return send(response, 200, asset);
      return refuse(response, pathname, 404, 'There is no such page: open /');
    }
  }
}

function describeRequest(
  { method = '', headers }: IncomingMessage,
  parameters: URLSearchParams | undefined,
): Asked {
  return {
    method,
    token: parameters?.get('token') ?? undefined,
    host: headers.host,
    origin: headers.origin,
    site: headers['sec-fetch-site']?.toString(),
    cookie: headers.cookie,
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    throw new RequestFault('A change must be JSON');
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MOST_BYTES) throw new RequestFault('This is too much at once: choose fewer messages');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestFault('A change must be JSON');
  }
}

function refuse(response: ServerResponse, path: string, code: number, message: string): void {
  if (path.startsWith('/api/')) sendJson(response, code, { error: message });
  else send(response, code, { type: 'text/plain', body: `${message}.\n` });
}

/** Strangers have written some of the texts, and a mark of direction would turn around what stands beside it on the page. */
const seen = (_: string, value: unknown): unknown =>
  typeof value === 'string' ? visibleLines(value) : value;

function sendJson(response: ServerResponse, code: number, value: object): void {
  send(response, code, { type: 'application/json', body: JSON.stringify(value, seen) });
}

function send(response: ServerResponse, code: number, { type, body }: Asset): void {
  response.writeHead(code, { ...HEADERS, 'content-type': `${type}; charset=utf-8` }).end(body);
}
