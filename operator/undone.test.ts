/**
 * A webhook takes back what was written, and the write succeeds. It is told, holds what depends on it, and is not written
 * without end, though such a webhook changes the object each time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { asksForRelay, recordingDeps } from '#test/fixtures/deps.ts';
import { answering, claim, LABELS, pod, scaleOf, UNMANAGED, world } from '#test/fixtures/hiddenlabels.ts';
import { podReport, podView, relayObject } from '#test/fixtures/world.ts';
import { mergePatch } from './apply.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { POD } from './kube/kinds.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import type { PodView, World } from './world.ts';

const { 'app.kubernetes.io/part-of': _, ...PART } = LABELS;
const RELAY = relayObject();
const old = podReport(RELAY, { policy: { hash: 'old', refused: null } });
const pods = (report = podReport(RELAY), changes: Partial<PodView> = {}) => [
  podView('relay-0', report, changes),
  podView('relay-1', podReport(RELAY)),
];

/** What one look after another writes to `name`, which is another object after each write, and lacks what was written. */
async function looks(
  count: number,
  name: string,
  changes: Partial<World>,
  others: readonly KubeObject[] = [],
) {
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const all: Request[] = [];
  let version = 1;
  for (let nth = 0; nth < count; nth++) {
    const server = [pod(0), pod(1), claim(0), claim(1)].map((one) => {
      const found = others.find(({ metadata }) => metadata.name === one.metadata.name) ?? one;
      return { ...found, metadata: { ...found.metadata, resourceVersion: `${version}` } };
    });
    const request = async <T>(sent: Request): Promise<T> => {
      all.push(sent);
      if (asksForRelay(sent)) return RELAY as T;
      const live = server.find(({ metadata }) => sent.path.endsWith(`/${metadata.name}`));
      if (sent.method === 'PATCH' && live) version += 1;
      if (live) return live as T;
      if (sent.method === 'GET') throw new KubeError('notFound', 'no', 404);
      return sent.body as T;
    };
    await reconcile(world(server, changes), { ...recordingDeps(), writer: { request, paces } });
  }
  const written = all.filter(({ method }) => method !== 'GET');
  const { status } = (written.findLast(({ path }) => path.endsWith('/status'))?.body ?? {}) as {
    status?: MailRelayStatus;
  };
  const message = (type: string) => status?.conditions?.find((one) => one.type === type)?.message ?? '';
  return {
    count: written.filter(({ path }) => path.endsWith(`/${name}`)).length,
    written: written.map(({ path, body }) => [path, body] as const),
    message,
  };
}

const CASES: Readonly<Record<string, readonly [string, Partial<World>, readonly KubeObject[], RegExp]>> = {
  'the label by which a pod is served': [
    'relay-0',
    { pods: pods(undefined, { serving: undefined }) },
    [],
    /Pod\/relay-0: something takes back what was written, by the answer: mailrelay.dev\/serving: have the webhook/,
  ],
  'the touch of a pod': [
    'relay-0',
    { pods: pods(old) },
    [],
    /the refresh of Pod\/relay-0 .*mailrelay.dev\/refresh/,
  ],
  'a label of a pod': [
    'relay-0',
    {},
    [pod(0, PART)],
    /the labelling of Pod\/relay-0 .*app.kubernetes.io\/part-of/,
  ],
  'a label of a claim': [
    'spool-relay-0',
    {},
    [claim(0, PART)],
    /the labelling of PersistentVolumeClaim\/spool-relay-0 .*app.kubernetes.io\/part-of/,
  ],
};

for (const [what, [name, changes, others, told]] of Object.entries(CASES))
  test(`${what} that is taken back is told, and written once for each pause`, async () => {
    const { count, message } = await looks(12, name, changes, others);
    assert.equal(count, 1);
    assert.match(`${message('Stalled')}${message('ConfigurationSound')}`, told);
  });

test('a pod that stays in the Service, whatever is written, is not told to leave', async () => {
  const relay = relayObject({ replicas: 1 });
  const leaving = [podView('relay-1', podReport(RELAY))];
  const { written } = await looks(1, 'relay-1', { relay, pods: pods().slice(0, 1), leaving });
  assert.ok(written.some(([path]) => path.endsWith('/pods/relay-1')));
  assert.notEqual(scaleOf(written), 1);
});

test('what is to be removed is gone from the answer, where that has nothing else either', async () => {
  const patch = (annotations: Record<string, string> | undefined, value: string | null) =>
    mergePatch(
      { request: async <T>() => ({ metadata: { name: 'x', ...(annotations ? { annotations } : {}) } }) as T },
      POD,
      { metadata: { name: 'x', namespace: 'mail' } },
      { metadata: { annotations: { mark: value } } },
    );
  await patch(undefined, null);
  await patch({ other: '1' }, null);
  await patch({ other: '1', mark: '2' }, '2');
  const undone = { kind: 'undone' };
  await assert.rejects(patch({ mark: '2' }, null), undone);
  await assert.rejects(patch({ mark: '1' }, '2'), undone);
  await assert.rejects(patch(undefined, '2'), undone);
});

test('claims whose labels are taken back keep their places, also where the StatefulSet is gone and its first write failed', async () => {
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const sets: unknown[] = [];
  for (let nth = 0; nth < 2; nth++) {
    const server = [claim(0), claim(1), ...[2, 3, 4].map((ordinal) => claim(ordinal, UNMANAGED))];
    const state = world(server, { relay: relayObject({ replicas: 1 }), pods: [] });
    const objects = new Map(state.objects);
    objects.delete('StatefulSet/relay');
    const answers = answering(server).writer;
    const request = async <T>(sent: Request): Promise<T> => {
      const isSet = sent.method === 'PATCH' && sent.path.includes('/statefulsets/');
      if (isSet) sets.push((sent.body as { spec?: { replicas?: number } }).spec?.replicas);
      if (isSet && nth === 0) throw new KubeError('forbidden', 'exceeded quota', 403);
      const live = server.find(({ metadata }) => sent.path.endsWith(`/${metadata.name}`));
      return sent.method === 'PATCH' && live ? (live as T) : answers.request<T>(sent);
    };
    await reconcile({ ...state, objects }, { ...recordingDeps(), writer: { request, paces } });
  }
  assert.deepEqual(new Set(sets), new Set([5]));
});
