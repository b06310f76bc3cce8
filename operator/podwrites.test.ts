/** What a look at a relay writes to its pods: labels before what selects by them, and a touch where a policy is old. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { withStatus } from '#test/fixtures/withstatus.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';
import type { PodView, World } from './world.ts';

describe('reconcile', () => {
  test('labels of pods come before the Service that selects by them, and before a pod is told to leave', async () => {
    const deps = recordingDeps(notFound);
    const unlabelled = podView('relay-0', podReport(relayObject()), { serving: undefined });
    const leaving = [podView('relay-2', podReport(relayObject()))];
    await reconcile(settledWorld({ objects: new Map(), pods: [unlabelled], leaving }), deps);
    const writes = deps.requests.filter(({ method }) => method !== 'GET');
    const labels = writes.slice(0, 2).map(({ path, body }) => [path.split('/').at(-1), body]);
    const patch = (uid: string, serving: string) => ({
      metadata: { uid, labels: { 'mailrelay.dev/serving': serving } },
    });
    assert.deepEqual(labels, [
      ['relay-0', patch('uid-of-relay-0', 'true')],
      ['relay-2', patch('uid-of-relay-2', 'false')],
    ]);
  });

  /** What is written of a relay with two pods at a server that refuses the patches of pods. */
  async function withoutLabels(changes: Readonly<Record<string, unknown>>, pods: Partial<World>) {
    const relay = relayObject({ service: { type: 'NodePort' }, logging: { level: 'debug' }, ...changes });
    const deps = recordingDeps((request) => {
      if (request.method !== 'GET' && request.path.includes('/pods/'))
        throw new KubeError('forbidden', 'no', 403);
      return request.method === 'GET' ? notFound(request) : request.body;
    });
    await reconcile(settledWorld({ relay, objects: liveObjects(relayObject()), ...pods }), deps);
    const bodies = deps.requests
      .filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'))
      .map(({ body }) => body as { kind?: string; spec?: { replicas?: number }; data?: object });
    const policy = bodies.find(({ kind }) => kind === 'ConfigMap')?.data as
      | Record<string, string>
      | undefined;
    const scale = parseScale(policy?.[SCALE_FILE_NAME] ?? '');
    const set = bodies.find(({ kind }) => kind === 'StatefulSet')?.spec;
    return {
      kinds: bodies.flatMap(({ kind = [] }) => kind),
      order: scale?.replicas,
      replicas: set?.replicas,
    };
  }

  test('a pod that cannot be labelled holds what selects it, and no other change of the spec', async () => {
    const pods = ['relay-0', 'relay-1'].map((name) =>
      podView(name, podReport(relayObject()), { serving: undefined }),
    );
    const { kinds, order } = await withoutLabels({}, { pods });
    assert.deepEqual([kinds, order], [['ConfigMap'], 2]);
    // One that is not there yet has no clients.
    const objects = new Map([...liveObjects(relayObject())].filter(([name]) => name !== 'Service/relay'));
    assert.ok((await withoutLabels({}, { pods, objects })).kinds.includes('Service'));
  });

  for (const mode of ['Durable', 'CutThrough'])
    test(`a pod of mode ${mode} that cannot be taken from the Service is not told to leave`, async () => {
      const [first, second] = ['relay-0', 'relay-1'].map((name) => podView(name, podReport(relayObject())));
      const pods = { pods: [first as PodView], leaving: [second as PodView] };
      const objects = liveObjects(relayObject({ queue: { mode } }));
      const written = await withoutLabels({ replicas: 1, queue: { mode } }, { ...pods, objects });
      assert.equal(written.order, 2);
      assert.equal(written.replicas, undefined, 'the StatefulSet keeps its places');
      assert.ok(!written.kinds.includes('Service'));
    });

  test('touches the pods that do not report the wanted policy, with a value that tells what for', async () => {
    const relay = relayObject();
    const pods = [
      podView('relay-0', podReport(relay)),
      podView('relay-1', podReport(relay, { policy: { hash: 'old', refused: null } })),
    ];
    const deps = recordingDeps();
    const { lookAgainMs } = await reconcile(withStatus(settledWorld({ pods })), deps);
    const touched = deps.requests.filter(({ path }) => path.includes('/pods/'));
    assert.deepEqual(
      touched.map(({ path }) => path),
      ['/api/v1/namespaces/mail/pods/relay-1'],
    );
    assert.equal(lookAgainMs, 1_500);
  });

  test('touches a pod that misses a Secret for a minute, in case it comes, and then no more', async () => {
    const problem = { reason: 'CertificateMissing', message: 'none' };
    const report = podReport(relayObject(), { certificate: null, certificateProblem: problem });
    const deps = recordingDeps();
    let refresh: string | undefined;
    for (let seconds = 0; seconds <= 300; seconds += 0.5) {
      const base = settledWorld({ pods: [podView('relay-0', report, { refresh })] });
      const before = deps.requests.length;
      await reconcile({ ...withStatus(base), now: base.now + seconds * 1_000 }, deps);
      const touch = deps.requests.slice(before).find(({ path }) => path.includes('/pods/'));
      const { metadata } = (touch?.body ?? { metadata: {} }) as Partial<KubeObject>;
      refresh = metadata?.annotations?.['mailrelay.dev/refresh'] ?? refresh;
    }
    const touches = deps.requests.filter(({ path }) => path.includes('/pods/'));
    assert.equal(touches.length, 7);
  });

  test('says nothing of pods that have not been asked yet', async () => {
    const deps = recordingDeps();
    const pods = [podView('relay-0', undefined), podView('relay-1', undefined)];
    await reconcile({ ...withStatus(settledWorld()), pods, asked: false }, deps);
    assert.deepEqual(deps.requests, []);
  });
});
