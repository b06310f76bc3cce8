/**
 * A wish that changes while a look reads: that look writes nothing, and the change begins the next one by itself. An operator that
 * hears of no change says so.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { until } from '#test/kit/wait.ts';
import { Controller } from './controller.ts';
import type { Client, KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { OperatorMetrics } from './metrics.ts';

const INSTALLATION = { name: 'a/b', className: 'x', isDefault: true };

function version(resourceVersion: number, changes: object = {}, hostname = 'first.example.com'): KubeObject {
  const { metadata, ...relay } = relayObject({ hostname });
  const own = { ...metadata, generation: 1, resourceVersion: `${resourceVersion}`, ...changes };
  return { ...relay, metadata: own, status: { installation: 'a/b' } } as unknown as KubeObject;
}

/** An API server with one MailRelay. `onRead` is called when the operator reads the StatefulSet by its name. */
class Server {
  readonly writes: Request[] = [];
  readonly #events: { line: string; taken: () => void }[] = [];
  #wake: () => void = () => undefined;
  #version = 100;
  #told = version(1);
  onRead: () => Promise<void> = async () => undefined;
  readonly now = Date.now;

  /** Resolves when the caches have the event. */
  async tell(type: string, object: KubeObject): Promise<void> {
    this.#told = object;
    await new Promise<void>((taken) => {
      this.#events.push({ line: JSON.stringify({ type, object }), taken });
      this.#wake();
    });
  }

  readonly request = async <T>({ method, path, ...rest }: Request): Promise<T> => {
    if (method === 'GET' && path.endsWith('/statefulsets/relay')) await this.onRead();
    const items = path.endsWith('/mailrelays') ? [version(1)] : [];
    if (method === 'GET' && !path.includes('/namespaces/'))
      return { items, metadata: { resourceVersion: '1' } } as T;
    if (method === 'GET' && path.endsWith('/mailrelays/relay')) return this.#told as T;
    if (method === 'GET') throw new KubeError('notFound', 'no', 404);
    this.writes.push({ method, path, ...rest });
    const { metadata, ...body } = rest.body as KubeObject;
    this.#version += 1;
    const { status } = body as KubeObject;
    const resourceVersion = `${this.#version}`;
    if (path.endsWith('/status'))
      return { ...this.#told, metadata: { ...this.#told.metadata, resourceVersion }, status } as T;
    return { ...body, metadata: { ...metadata, uid: path, resourceVersion } } as T;
  };

  async *lines({ path, query }: Request, signal: AbortSignal): AsyncIterable<string> {
    if (query?.['sendInitialEvents']) throw new KubeError('invalid', 'no streamed lists', 422);
    while (!signal.aborted) {
      const event = path.endsWith('/mailrelays') ? this.#events.shift() : undefined;
      if (event) {
        yield event.line;
        event.taken();
        continue;
      }
      await new Promise<void>((woken) => {
        if (path.endsWith('/mailrelays')) this.#wake = woken;
        signal.addEventListener('abort', () => woken(), { once: true });
      });
    }
  }
}

function make(t: TestContext, server: Server) {
  const controller = new Controller({
    client: server as unknown as Client,
    namespaces: undefined,
    settings: SETTINGS,
    installation: INSTALLATION,
    workers: 1,
    rollingRelays: 1,
    identity: 'one',
    log: () => undefined,
    metrics: new OperatorMetrics(),
    mayWrite: () => true,
  });
  t.after(() => controller.stop());
  controller.start();
  return controller;
}

async function start(t: TestContext, server: Server) {
  const controller = make(t, server);
  await controller.lead();
  return controller;
}

const policiesOf = ({ writes }: Server) =>
  writes.flatMap(({ path, body }) => (path.endsWith('/relay-policy') ? [body as KubeObject] : []));

const PAUSE = { annotations: { [ANNOTATIONS.paused]: 'true' } };
const CHANGES: Readonly<Record<string, (server: Server) => Promise<void>>> = {
  'another spec': (server) => server.tell('MODIFIED', version(2, { generation: 2 }, 'second.example.com')),
  'a pause that ends': async (server) => {
    await server.tell('MODIFIED', version(2, PAUSE));
    const { onRead } = server;
    server.onRead = async () => assert.fail('nothing is read for a relay that is paused');
    setImmediate(() => {
      server.onRead = onRead;
      void server.tell('MODIFIED', version(3, { generation: 2 }, 'second.example.com'));
    });
  },
  'another one of the name': async (server) => {
    await server.tell('DELETED', version(2));
    await server.tell('ADDED', version(3, { uid: 'uid' }, 'second.example.com'));
  },
};

for (const [what, change] of Object.entries(CHANGES))
  test(`${what}, during the reads of a look: it writes nothing, and another look follows`, async (t) => {
    const server = new Server();
    const before: number[] = [];
    server.onRead = async () => {
      before.push(server.writes.length);
      if (before.length === 1) await change(server);
    };
    await start(t, server);
    await until('the policy', () => policiesOf(server).length > 0);
    assert.deepEqual(before.slice(0, 2), [0, 0], 'nothing is written before the second look');
    const [policy] = policiesOf(server);
    assert.match(JSON.stringify(policy?.['data']), /second\.example\.com/);
    assert.doesNotMatch(JSON.stringify(server.writes), /first\.example\.com/);
  });

test('an operator that may not watch any more is not ready, and says why', async (t) => {
  const server = new Server();
  const { lines } = server;
  server.lines = (request, signal) => {
    const isWatch = !request.query?.['sendInitialEvents'];
    if (isWatch && request.path.endsWith('/pods')) throw new KubeError('forbidden', 'pods: no rights', 403);
    return lines.call(server, request, signal);
  };
  const controller = await start(t, server);
  const told = await until('the trouble', () => controller.trouble);
  assert.match(told, /changes are not seen, restore the roles of the operator, or its CRD: pods: no rights/);
});

test('what is not heard of any more is no wish: a process that leads then writes nothing, until it hears again', async (t) => {
  const server = new Server();
  const { lines } = server;
  let isAllowed = true;
  server.lines = (request, signal) => {
    const isWatch = !request.query?.['sendInitialEvents'];
    if (isWatch && !isAllowed && request.path.endsWith('/mailrelays'))
      throw new KubeError('forbidden', 'mailrelays: no rights', 403);
    return lines.call(server, request, signal);
  };
  const controller = make(t, server);
  await until('the caches', () => controller.trouble === undefined);
  isAllowed = false;
  controller.apiServerBack();
  await until('the trouble', () => controller.trouble);
  await controller.lead();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(server.writes, []);
  isAllowed = true;
  controller.apiServerBack();
  await server.tell('MODIFIED', version(2, { generation: 2 }, 'second.example.com'));
  await until('the policy', () => policiesOf(server).length > 0);
  assert.doesNotMatch(JSON.stringify(server.writes), /first\.example\.com/);
});
