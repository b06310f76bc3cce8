/** A claim that lost its labels holds its place, says how many places there were, and gets its labels back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import {
  answering,
  claim,
  EMPTIED,
  LABELS,
  pod,
  relay,
  UNMANAGED,
  world,
} from '#test/fixtures/hiddenlabels.ts';
import { podReport, podView, relayObject } from '#test/fixtures/world.ts';
import type { StatefulSetSpec } from './judge/storage.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';

/** Two pods are wanted; the third one, with its claim, leaves, and says that it is empty if it `hasRun`. */
async function scalesIn(
  third: readonly KubeObject[],
  answer: (request: Request) => unknown = () => undefined,
  hasRun = true,
) {
  const server = [pod(0), pod(1), claim(0), claim(1), ...third];
  const state = world(server);
  const objects = new Map(state.objects);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: 3 } });
  const deps = recordingDeps();
  const answers = answering(server).writer;
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    return (answer(sent) as T | undefined) ?? answers.request(sent);
  };
  const report = hasRun ? podReport(relay, { evacuation: EMPTIED }) : undefined;
  const leaving = third.flatMap(({ kind, metadata }) =>
    kind === 'Pod'
      ? [podView(metadata.name, report, { hasRun, deleting: metadata.deletionTimestamp !== undefined })]
      : [],
  );
  await reconcile({ ...state, objects, leaving }, { ...deps, writer: { request } });
  const written = deps.requests.filter(({ method }) => method !== 'GET');
  const applied = written.find(({ path }) => path.includes('/statefulsets/'))?.body as KubeObject | undefined;
  const claims = written.flatMap(({ path, body }) => (path.endsWith('/spool-relay-2') ? [body] : []));
  const status = written.find(({ path }) => path.endsWith('/status'));
  return {
    replicas: (applied?.['spec'] as StatefulSetSpec | undefined)?.replicas,
    claims,
    told: JSON.stringify(status?.body),
  };
}

test('a place is not given up while its claim is hidden, also while its pod is away for a moment', async () => {
  const patch = { metadata: { uid: 'uid-of-claim-2', labels: LABELS } };
  const refuse = ({ method, path }: Request) => {
    if (method !== 'GET' && path.includes('claims')) throw new KubeError('forbidden', 'not here', 403);
  };
  const fail = ({ method, path }: Request) => {
    if (method === 'GET' && path.includes('claims/')) throw new KubeError('failed', 'not now', 500);
  };
  for (const there of [[pod(2), claim(2, UNMANAGED)], [claim(2, UNMANAGED)]]) {
    const { replicas, claims } = await scalesIn(there);
    assert.deepEqual([replicas, claims], [3, [patch]]);
    for (const answer of [refuse, fail]) {
      const held = await scalesIn(there, answer);
      assert.notEqual(held.replicas, 2);
      assert.match(held.told, /PersistentVolumeClaim\/spool-relay-2/);
    }
  }
});

test('nor while the caches have not got its claim yet', async () => {
  const server = claim(2);
  const late = ({ path, method }: Request) =>
    method === 'GET' && path.endsWith('spool-relay-2') ? server : undefined;
  const { replicas, claims } = await scalesIn([], late);
  assert.deepEqual([replicas, claims], [3, []]);
});

test('it is given up when there is no claim, or one that goes', async () => {
  const going = claim(2, UNMANAGED);
  const deleted = { ...going, metadata: { ...going.metadata, deletionTimestamp: 'now' } };
  for (const there of [[], [deleted]]) assert.equal((await scalesIn(there)).replicas, 2);
});

test('a claim of somebody else is told, and stays as it is', async () => {
  const postgres = { 'app.kubernetes.io/name': 'postgresql', 'app.kubernetes.io/instance': 'relay' };
  for (const labels of [{}, { app: 'postgres' }, postgres]) {
    const { claims, told, replicas } = await scalesIn([pod(2), claim(2, labels)]);
    assert.deepEqual(claims, []);
    assert.match(
      told,
      /PersistentVolumeClaim\/spool-relay-2 bears no label of this relay, and may belong to someone else: rename this MailRelay, or,/,
    );
    assert.equal(replicas, 2);
    // A pod that is not there, has not run, or ends, cannot tell what the claim has.
    const { metadata, ...spec } = pod(2);
    const ending = { ...spec, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    for (const there of [[], [ending]]) {
      const held = await scalesIn([...there, claim(2, labels)]);
      assert.deepEqual([held.claims, held.replicas], [[], undefined]);
    }
    assert.notEqual((await scalesIn([pod(2), claim(2, labels)], () => undefined, false)).replicas, 2);
  }
  for (const labels of [{ 'app.kubernetes.io/instance': 'relay' }, { 'app.kubernetes.io/name': 'mailrelay' }])
    assert.equal((await scalesIn([claim(2, labels)])).claims.length, 1);
  const { metadata, ...rest } = claim(2, {});
  const noted = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/granted': '1Gi/1Gi' } } };
  assert.equal((await scalesIn([noted])).claims.length, 1);
});

test('a claim that was hidden loses its mark with the same write: a pod may have used it meanwhile', async () => {
  const { metadata, ...rest } = claim(2, UNMANAGED);
  const marked = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/emptied': 'u' } } };
  const annotations = { 'mailrelay.dev/emptied': null };
  const { replicas, claims } = await scalesIn([marked]);
  assert.deepEqual(claims, [{ metadata: { uid: 'uid-of-claim-2', labels: LABELS, annotations } }]);
  assert.equal(replicas, 3);
});

/** One pod is wanted, and somebody has deleted the StatefulSet. The caches have two claims; these are there too. */
async function withoutSet(
  hidden: readonly KubeObject[],
  answer: (request: Request) => unknown = () => undefined,
  of: MailRelay = relayObject({ replicas: 1 }),
) {
  const server = [claim(0), claim(1), ...hidden];
  const state = world(server, { relay: of, pods: [] });
  const objects = new Map(state.objects);
  objects.delete('StatefulSet/relay');
  const deps = recordingDeps();
  const answers = answering(server).writer;
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    return (answer(sent) as T | undefined) ?? answers.request(sent);
  };
  await reconcile({ ...state, objects }, { ...deps, writer: { request } });
  const written = deps.requests.filter(({ method }) => method !== 'GET');
  const set = written.find(({ path }) => path.includes('/statefulsets/'))?.body as KubeObject | undefined;
  return {
    places: (set?.['spec'] as StatefulSetSpec | undefined)?.replicas,
    labelled: written.flatMap(({ path }) => (path.includes('claims/') ? [path.split('/').at(-1)] : [])),
    told: JSON.stringify(written.find(({ path }) => path.endsWith('/status'))?.body),
    reads: deps.requests.filter(({ method, path }) => method === 'GET' && path.includes('claims/')).length,
  };
}

test('without a StatefulSet the claims say how many places it had, also those that are hidden', async () => {
  assert.deepEqual((await withoutSet([])).places, 2);
  assert.equal((await withoutSet([])).reads, 1, 'the first that is not there ends the look');
  const { places, labelled } = await withoutSet([claim(2, UNMANAGED), claim(3, UNMANAGED)]);
  assert.deepEqual([places, labelled], [4, ['spool-relay-2', 'spool-relay-3']]);
  const coming = await withoutSet([claim(2, UNMANAGED), claim(3)].toReversed());
  assert.equal(coming.places, 4);
  const counted = { ...relayObject({ replicas: 1 }), status: { replicas: 4 } };
  const gap = await withoutSet([claim(3, UNMANAGED)], () => undefined, counted);
  assert.deepEqual([gap.places, gap.labelled], [4, ['spool-relay-3']]);
  const { metadata, ...rest } = claim(2, UNMANAGED);
  const going = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  assert.deepEqual((await withoutSet([going, claim(3, UNMANAGED)])).labelled, ['spool-relay-3']);
});

test('and so do those whose labels are refused, or that cannot be read; but none of somebody else', async () => {
  const refuse = ({ method, path }: Request) => {
    if (method !== 'GET' && path.includes('claims/')) throw new KubeError('forbidden', 'not here', 403);
  };
  const refused = await withoutSet([claim(2, UNMANAGED)], refuse);
  assert.equal(refused.places, 3);
  assert.match(refused.told, /the labelling of PersistentVolumeClaim\/spool-relay-2 is not/);
  // No pod takes mail onto a claim that keeps the mark of an empty one.
  const { metadata, ...rest } = claim(0);
  const marked = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/emptied': 'u' } } };
  assert.equal((await withoutSet([marked, claim(2, UNMANAGED)], refuse)).places, undefined);
  const fail = ({ path }: Request) => {
    if (path.endsWith('/spool-relay-2')) throw new KubeError('failed', 'not now', 500);
  };
  assert.equal((await withoutSet([claim(2, UNMANAGED)], fail)).places, undefined, 'it is not made yet');
  const failed: Request[] = [];
  const failOnce = (request: Request) => {
    if (request.path.endsWith('/spool-relay-2') && failed.push(request) === 1) fail(request);
  };
  const counted = { ...relayObject({ replicas: 1 }), status: { replicas: 4 } };
  const once = await withoutSet([claim(2, UNMANAGED), claim(3, UNMANAGED)], failOnce, counted);
  assert.deepEqual([once.places, once.labelled], [4, ['spool-relay-3']], 'it ends no look at the others');
  const theirs = await withoutSet([claim(2, { app: 'postgres' })]);
  assert.deepEqual([theirs.places, theirs.labelled], [2, []]);
  assert.doesNotMatch(theirs.told, /someone else/);
  const cutThrough = relayObject({ replicas: 1, queue: { mode: 'CutThrough' } });
  assert.equal((await withoutSet([claim(2, UNMANAGED)], () => undefined, cutThrough)).reads, 0);
});

test('a claim that the caches know keeps its mark, whatever takes another label of it away', async () => {
  const { 'app.kubernetes.io/part-of': _part, ...stripped } = LABELS;
  let live = claim(2, stripped);
  const written: KubeObject['metadata'][] = [];
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const report = podReport(relay, { evacuation: EMPTIED });
  for (let nth = 0; nth < 6; nth++) {
    const server = [pod(0), pod(1), pod(2), claim(0), claim(1), live];
    const answers = answering(server).writer;
    const request = async <T>(sent: Request): Promise<T> => {
      if (sent.method !== 'PATCH' || !sent.path.endsWith('/spool-relay-2')) return answers.request(sent);
      const { metadata } = sent.body as KubeObject;
      written.push(metadata);
      const annotations = Object.fromEntries(
        Object.entries({ ...live.metadata.annotations, ...metadata.annotations }).filter(
          ([, value]) => (value as string | null) !== null,
        ),
      );
      live = { ...live, metadata: { ...live.metadata, annotations } };
      return live as T;
    };
    const state = world(server);
    const set = state.objects.get('StatefulSet/relay') as KubeObject;
    const objects = new Map(state.objects);
    objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: 3 } });
    const leaving = [podView('relay-2', report)];
    await reconcile({ ...state, objects, leaving }, { ...recordingDeps(), writer: { request, paces } });
  }
  // With the mark it is another object, but what takes its label away is the same.
  const marks = written.map(({ annotations }) => annotations?.['mailrelay.dev/emptied']);
  assert.deepEqual(marks, [undefined, 'uid-of-relay-2']);
});
