/** The status that this process wrote, when the watch reports it, is no news. All other changes are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayObject } from '#test/fixtures/world.ts';
import { until } from '#test/kit/wait.ts';
import { Caches } from './caches.ts';
import { ForbiddenWrites } from './forbidden.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { ReconcileWriter } from './reconcilewriter.ts';

const condition = (message: string) => ({ type: 'Stalled', status: 'True', reason: 'Denied', message });
const summed = (message: string) => ({ conditions: [condition(message)], problems: 'Stalled', message });
const STATUS = { installation: 'a/b', ...summed('request 1') };

function version(resourceVersion: string, status: object, changes: object = {}): KubeObject {
  const { metadata, ...relay } = relayObject();
  const own = { ...metadata, uid: 'u', generation: 1, resourceVersion, ...changes };
  return { ...relay, metadata: own, status } as unknown as KubeObject;
}

/** A writer and the caches behind it. The server answers a write with `answers`, in turn. */
async function start(answers: KubeObject[]) {
  const news: string[] = [];
  const client = {
    request: async <T>({ method, path }: Request) => {
      if (method === 'PATCH') return answers.shift() as T;
      const items = path.endsWith('/mailrelays') ? [version('1', STATUS)] : [];
      return { items, metadata: { resourceVersion: '1' } } as T;
    },
    async *lines({ query }: Request, signal: AbortSignal) {
      if (query?.['sendInitialEvents']) throw new KubeError('invalid', 'no streamed lists', 422);
      await new Promise((ended) => signal.addEventListener('abort', ended, { once: true }));
    },
  };
  const silent = () => undefined;
  const caches = new Caches({
    ...{ client, namespaces: undefined, random: () => 0, onNews: (key: string) => news.push(key) },
    ...{ onComplete: silent, onTrouble: silent, onAway: silent, onBack: silent },
  });
  caches.start();
  await until('the caches', () => caches.synced);
  news.length = 0;
  const forbidden = new ForbiddenWrites(() => 0);
  const paces = new AllPaces(() => 0).of('mail/relay', 1);
  const writer = new ReconcileWriter({
    client,
    caches,
    forbidden,
    paces,
    mayWrite: () => true,
    onAnswer: silent,
  });
  const write = (status: object) =>
    writer.request({ method: 'PATCH', path: '/x/status', body: { metadata: { uid: 'u' }, status } });
  return { caches, news, write };
}

const next = { ...STATUS, ...summed('request 2') };

for (const [what, answer, count, written = next] of [
  ['conditions that this process wrote', version('2', next), 0],
  ['conditions that somebody changed meanwhile', version('2', STATUS), 1],
  ['a new spec beside them', version('2', next, { generation: 2 }), 1],
  [
    'a new annotation beside them',
    version('2', next, { annotations: { 'mailrelay.dev/paused': 'true' } }),
    1,
  ],
  ['the rest of the status', version('2', { ...next, dnsRecords: [] }), 1, { ...next, dnsRecords: [] }],
] as const)
  test(`${what}: ${count === 0 ? 'no news' : 'news'}`, async (t) => {
    const { caches, news, write } = await start([answer]);
    t.after(() => caches.stop());
    await write(written);
    assert.equal(news.length, count);
  });

test('a watch that is faster than the answer brings no news either, and what others write later does', async (t) => {
  const { caches, news } = await start([]);
  t.after(() => caches.stop());
  caches.expectStatus({ metadata: { name: 'relay', uid: 'u' }, status: next });
  caches.learn(version('2', next));
  assert.equal(news.length, 0);
  caches.learn(version('3', STATUS));
  assert.equal(news.length, 1);
});
