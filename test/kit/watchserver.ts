/** A server of the watch protocol that answers as a test says, and a list-watch of it. Both end with the test file. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before } from 'node:test';
import { Client, type KubeObject } from '#operator/kube/client.ts';
import { POD } from '#operator/kube/kinds.ts';
import { ListWatch } from '#operator/kube/listwatch.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

let server: Server;
let client: Client;
/** Most servers before 1.32 refuse to stream a list. */
const REFUSED: Answer = (request, response, url) => fails(422)(request, response, url);
/** What the server answers, and what it was asked, in one test. */
export const api = {
  lists: [] as URL[],
  watches: [] as URL[],
  onList: REFUSED,
  onWatch: REFUSED,
  onStream: REFUSED,
};

export let running: ListWatch | undefined;
/**
 * Each list-watch has its own namespace, so that a test does not take the last request of the test before for its own.
 */
let namespace = 'mail-0';
let starts = 0;
export const news: string[] = [];

export const pod = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, namespace: 'mail', resourceVersion },
});
export const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
export const listOf =
  (version: string, ...items: KubeObject[]): Answer =>
  (_request, response) =>
    json(response, 200, { items, metadata: { resourceVersion: version } });
export const fails =
  (status: number, message = 'no'): Answer =>
  (_request, response) =>
    json(response, status, { kind: 'Status', message });
/** Sends events and stays open. */
export const events =
  (...lines: unknown[]): Answer =>
  (_request, response) => {
    response.writeHead(200);
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
  };
/** Gives the answers one after the other, and then the last one again and again. */
export function inTurn(...answers: Answer[]): Answer {
  return (request, response, url) =>
    (answers.length > 1 ? answers.shift() : answers[0])?.(request, response, url);
}

before(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://api');
    if (!url.pathname.includes(`/${namespace}/`)) return void request.socket.destroy();
    if (url.searchParams.has('sendInitialEvents')) return void api.onStream(request, response, url);
    const watching = url.searchParams.get('watch') === 'true';
    (watching ? api.watches : api.lists).push(url);
    (watching ? api.onWatch : api.onList)(request, response, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { KubeConfig } = await import('#operator/kube/clientnode.ts');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    {
      name: 'test',
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      skipTLSVerify: true,
    },
    { name: 'test' },
  );
  client = new Client(config, ({ kind }) => news.push(kind));
});

afterEach(() => {
  running?.stop();
  server.closeAllConnections();
  api.lists = [];
  api.watches = [];
  news.length = 0;
  api.onStream = REFUSED;
});

after(() => server.close());

export function start(options: Partial<ConstructorParameters<typeof ListWatch>[0]> = {}) {
  const seen = new Map<string, string | undefined>();
  const troubles: string[] = [];
  namespace = `mail-${++starts}`;
  running = new ListWatch({
    client,
    kind: POD,
    namespace,
    labelSelector: 'a=b',
    random: () => 0,
    onChange: (before, now) => {
      const { name } = ((now ?? before) as KubeObject).metadata;
      if (now) seen.set(name, now.metadata.resourceVersion);
      else seen.delete(name);
    },
    onTrouble: (_kind, message) => troubles.push(message),
    ...options,
  });
  running.start();
  return { seen, troubles, cache: running };
}
