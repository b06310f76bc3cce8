import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import type { Request } from './client.ts';
import { KubeError } from './errors.ts';
import { Lease } from './lease.ts';

interface Stored {
  metadata: { name: string; namespace: string; resourceVersion: string };
  spec: { holderIdentity?: string; leaseDurationSeconds?: number; leaseTransitions?: number };
}

/** An API server that keeps one Lease, with optimistic concurrency. */
function leaseServer() {
  let stored: Stored | undefined;
  let version = 0;
  return {
    stored: () => stored,
    request: async <T>({ method, body }: Request): Promise<T> => {
      if (method === 'GET') {
        if (!stored) throw new KubeError('notFound', 'not found', 404);
        return structuredClone(stored) as T;
      }
      const wanted = structuredClone(body) as Stored;
      if (method === 'POST' && stored) throw new KubeError('conflict', 'exists', 409);
      if (method === 'PUT' && wanted.metadata.resourceVersion !== stored?.metadata.resourceVersion) {
        throw new KubeError('conflict', 'changed', 409);
      }
      stored = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: String(++version) } };
      return structuredClone(stored) as T;
    },
  };
}

const leaseOf = (
  client: ReturnType<typeof leaseServer>,
  identity: string,
  monotonic: () => number,
  onLost = () => undefined,
) => new Lease({ client, namespace: 'system', name: 'lease', identity, monotonic, onLost });

test('the first to ask leads; it gives the Lease up on release, and the next leads at once', async () => {
  const server = leaseServer();
  const [first, second] = [leaseOf(server, 'first', () => 0), leaseOf(server, 'second', () => 0)];
  await first.acquire();
  assert.ok(first.held);
  assert.equal(server.stored()?.spec.holderIdentity, 'first');
  await first.release();
  assert.equal(server.stored()?.spec.holderIdentity, undefined);
  await second.acquire();
  assert.equal(server.stored()?.spec.holderIdentity, 'second');
  await second.release();
});

test('a Lease of a dead holder is taken over when it was not seen to change for its duration, and not before', async () => {
  const server = leaseServer();
  const spec = { holderIdentity: 'dead', leaseDurationSeconds: 15, leaseTransitions: 0 };
  await server.request({
    method: 'POST',
    path: '',
    body: { metadata: { name: 'lease', namespace: 'system' }, spec },
  });
  let now = 0;
  const next = leaseOf(server, 'next', () => now);
  const acquired = next.acquire();
  await new Promise((seen) => setImmediate(seen));
  assert.equal(next.held, false);
  now = 15_001;
  await acquired;
  assert.equal(server.stored()?.spec.holderIdentity, 'next');
  assert.equal(server.stored()?.spec.leaseTransitions, 1);
  await next.release();
});

test('a holder that comes back late does not take the Lease from the one after it', async () => {
  const server = leaseServer();
  const paused = leaseOf(server, 'paused', () => 0);
  await paused.acquire();
  const stored = server.stored();
  assert.ok(stored);
  const { resourceVersion } = stored.metadata;
  await server.request({
    method: 'PUT',
    path: '',
    body: { ...stored, metadata: { ...stored.metadata, resourceVersion }, spec: { holderIdentity: 'next' } },
  });
  await paused.release();
  assert.equal(server.stored()?.spec.holderIdentity, 'next');
});

test('a holder that could not renew for the time of the Lease no longer takes it for its own', async () => {
  const server = leaseServer();
  let now = 0;
  const lease = leaseOf(server, 'first', () => now);
  assert.equal(lease.isFresh, false);
  await lease.acquire();
  now = 14_999;
  assert.ok(lease.isFresh);
  now = 15_000;
  assert.equal(lease.isFresh, false);
  assert.ok(lease.held);
  await lease.release();
});

test('what is released while it is being got is free afterwards', async () => {
  const server = leaseServer();
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const slow = {
    ...server,
    request: async <T>(request: Request): Promise<T> => {
      const done = await server.request<T>(request);
      if (request.method === 'POST') await answered;
      return done;
    },
  };
  const lease = leaseOf(slow, 'first', () => 0);
  const acquired = lease.acquire();
  await until('it to be written', () => server.stored() !== undefined);
  const released = lease.release();
  answer();
  await Promise.all([acquired, released]);
  assert.equal(server.stored()?.spec.holderIdentity, undefined);
  assert.equal(lease.held, false);
});

test('a renewal whose answer is lost does not cost the Lease', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const server = leaseServer();
  let now = 0;
  let writes = 0;
  const lossy = {
    ...server,
    request: async <T>(request: Request): Promise<T> => {
      const done = await server.request<T>(request);
      if (request.method !== 'PUT' || ++writes > 1) return done;
      // The server does the write, but the client gets no answer before its time-out.
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      throw new KubeError('unavailable', 'timed out');
    },
  };
  let lost = false;
  const lease = leaseOf(
    lossy,
    'first',
    () => now,
    () => {
      lost = true;
      return undefined;
    },
  );
  await lease.acquire();
  for (let second = 0; second < 14; second++) {
    now += 1_000;
    context.mock.timers.tick(1_000);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  assert.equal(lost, false);
  assert.ok(lease.isFresh);
  context.mock.timers.reset();
  await lease.release();
});

const guardOf = (client: ReturnType<typeof leaseServer>, identity: string, monotonic: () => number) =>
  new Lease({
    ...{ client, namespace: 'system', name: 'lease', identity, monotonic, isGuard: true },
    onLost: () => undefined,
  });

test('the guard is needed only where an operator of before has been, and keeps it out', async () => {
  const server = leaseServer();
  const guard = guardOf(server, 'system/us/a', () => 0);
  await guard.acquire();
  assert.ok(guard.held && guard.isFresh);
  assert.equal(server.stored(), undefined, 'nothing is made');
  await guard.release();
  const older = leaseOf(server, 'older', () => 0);
  await older.acquire();
  let isHeld = false;
  const next = guardOf(server, 'system/us/a', () => 0);
  const waiting = next.acquire().then(() => {
    isHeld = true;
  });
  await new Promise(setImmediate);
  assert.equal(isHeld, false);
  await older.release();
  await waiting;
  assert.equal(server.stored()?.spec.holderIdentity, 'system/us/a');
  // One heir in the same installation, after the leader died; and one in another installation, which need not wait.
  const [heir, other] = [guardOf(server, 'system/us/b', () => 0), guardOf(server, 'system/them/c', () => 0)];
  await other.acquire();
  assert.equal(server.stored()?.spec.holderIdentity, 'system/us/a');
  await heir.acquire();
  assert.equal(server.stored()?.spec.holderIdentity, 'system/us/b');
  for (const lease of [next, heir, other]) await lease.release();
});

const REFUSALS = [
  ['it may not read it', 'GET', new KubeError('forbidden', 'leases is forbidden: no rights', 403), true],
  ['it may not make it', 'POST', new KubeError('forbidden', 'leases is forbidden: no rights', 403), true],
  ['there is no such namespace', 'POST', new KubeError('notFound', 'namespaces not found', 404), true],
  ['a webhook is down', 'POST', new KubeError('failed', 'failed calling webhook', 500), true],
  ['the server is away', 'GET', new KubeError('unavailable', 'reset'), false],
  ['another process was first', 'POST', new KubeError('conflict', 'exists', 409), false],
] as const;

for (const [what, method, error, isTold] of REFUSALS)
  test(`a Lease that cannot be had (${what}) is ${isTold ? 'told once, until it is had' : 'tried on in silence'}`, async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const server = leaseServer();
    const told: string[] = [];
    let isMended = false;
    let tries = 0;
    const lease = new Lease({
      ...{ namespace: 'system', name: 'lease', identity: 'first', monotonic: () => 0 },
      client: {
        request: async <T>(request: Request): Promise<T> => {
          if (request.method !== method || isMended) return server.request<T>(request);
          tries += 1;
          throw error;
        },
      },
      onLost: () => undefined,
      onRefused: (message) => told.push(message),
    });
    const acquired = lease.acquire();
    const pass = async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      context.mock.timers.tick(2_000);
    };
    while (tries < 3) await pass();
    assert.deepEqual([lease.refusal, told], isTold ? [error.message, [error.message]] : [undefined, []]);
    isMended = true;
    while (!lease.held) await pass();
    await acquired;
    assert.equal(lease.refusal, undefined);
    context.mock.timers.reset();
    await lease.release();
  });

test('a Lease that somebody deletes is made anew, and that is no refusal', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const server = leaseServer();
  const told: string[] = [];
  let writes = 0;
  const lease = new Lease({
    ...{ namespace: 'system', name: 'lease', identity: 'first', monotonic: () => 0 },
    client: {
      request: async <T>(request: Request): Promise<T> => {
        if (request.method === 'PUT' && ++writes === 1) throw new KubeError('notFound', 'not found', 404);
        return server.request<T>(request);
      },
    },
    onLost: () => undefined,
    onRefused: (message) => told.push(message),
  });
  await lease.acquire();
  for (let second = 0; second < 8; second++) {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    context.mock.timers.tick(1_000);
  }
  assert.deepEqual([told, writes > 1, lease.held], [[], true, true]);
  context.mock.timers.reset();
  await lease.release();
});
