/** Labels that the API server refuses, or takes away again: it is told once, tried again, and holds up nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { answering, claim, namesOf, pod, scaleOf, UNMANAGED, world } from '#test/fixtures/hiddenlabels.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { StatefulSetSpec } from './judge/storage.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import type { World } from './world.ts';

/** What many looks at this world write, half a minute apart, at a server that refuses all patches of this kind. */
async function looksAt(state: World, server: readonly KubeObject[], refused: string) {
  let now = 0;
  const all = new AllPaces(() => now);
  const answers = answering(server).writer;
  let { relay: seen } = state;
  const rows: { written: Request[]; status: MailRelay['status'] }[] = [];
  for (let nth = 0; nth < 12; nth++, now += 30_100) {
    const deps = recordingDeps();
    const request = async <T>(sent: Request): Promise<T> => {
      deps.requests.push(sent);
      const isRefused = sent.method !== 'GET' && sent.path.includes(`/${refused}/`);
      if (isRefused) throw new KubeError('forbidden', 'the backup owns it', 403);
      return answers.request(sent);
    };
    const paces = all.of('mail/relay', seen.metadata.generation);
    await reconcile({ ...state, relay: seen, now: state.now + now }, { ...deps, writer: { request, paces } });
    const written = deps.requests.filter(({ method }) => method !== 'GET');
    const body = written.find(({ path }) => path.endsWith('/status'))?.body as MailRelay | undefined;
    if (body?.status) seen = { ...seen, status: body.status };
    rows.push({ written, status: body?.status });
  }
  return rows;
}

test('labels that are refused are told once, in however many looks', async () => {
  const ordinals = [0, 1, 2, 3, 4];
  const wanted = relayObject({ replicas: 5 });
  const server = ordinals.flatMap((n) => [pod(n), claim(n, UNMANAGED)]).toReversed();
  const objects = liveObjects(wanted);
  for (const object of server) if (object.kind === 'Pod') objects.set(`Pod/${object.metadata.name}`, object);
  const pods = ordinals.map((n) => podView(`relay-${n}`, podReport(wanted)));
  const rows = await looksAt(
    settledWorld({ relay: wanted, objects, pods }),
    server,
    'persistentvolumeclaims',
  );
  assert.deepEqual(
    rows.map(({ status }) => status !== undefined),
    rows.map((_, nth) => nth === 0),
  );
  assert.match(
    JSON.stringify(rows[0]?.status),
    /the labelling of PersistentVolumeClaim\/spool-relay-0 is not/,
  );
});

test('a pod that cannot get its labels holds scaling and volumes in every look, whatever else is missing', async () => {
  const wanted = relayObject({ replicas: 10, queue: { storage: { size: '9Gi' } } });
  const server = [pod(0, UNMANAGED), pod(9), claim(9)];
  const objects = liveObjects(relayObject({ replicas: 10 }));
  for (const object of [pod(9), claim(9)]) objects.set(`${object.kind}/${object.metadata.name}`, object);
  const pods = [podView('relay-9', podReport(wanted))];
  const rows = await looksAt(settledWorld({ relay: wanted, objects, pods }), server, 'pods');
  for (const [nth, { written, status }] of rows.entries()) {
    assert.doesNotMatch(JSON.stringify(written), /9Gi|DeleteOptions/, `look ${nth}`);
    assert.equal(status === undefined, nth > 0, `the status of look ${nth}`);
  }
});

test('a claim whose labels were refused is tried at once when somebody changes it', async () => {
  const { metadata, ...hidden } = claim(1, UNMANAGED);
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const patchesOf = async (annotations: Readonly<Record<string, string>>) => {
    const server = [pod(0), pod(1), claim(0), { ...hidden, metadata: { ...metadata, annotations } }];
    const answers = answering(server).writer;
    const sent: Request[] = [];
    const request = async <T>(one: Request): Promise<T> => {
      sent.push(one);
      if (one.method !== 'GET') throw new KubeError('forbidden', 'the backup owns it', 403);
      return answers.request(one);
    };
    const look = reconcile(world(server), { ...recordingDeps(), writer: { request, paces } });
    await assert.rejects(look, /the backup owns it/, 'the status is refused too');
    return sent.filter(({ method, path }) => method === 'PATCH' && path.includes('claims')).length;
  };
  const counts = [await patchesOf({}), await patchesOf({}), await patchesOf({ keep: 'no' })];
  assert.deepEqual(counts, [1, 0, 1]);
});

const STRIPS = 'strips';
const DENIES = 'denies';

/** A reconcile of a relay whose spec has changed, at a server that keeps the labels from the claims or pods. */
async function besides(
  how: string,
  kind: 'pods' | 'persistentvolumeclaims',
  changes: Record<string, unknown>,
) {
  const isPods = kind === 'pods';
  const server = isPods
    ? [pod(0), pod(1, UNMANAGED), claim(0), claim(1)]
    : [pod(0), pod(1), claim(0), claim(1, UNMANAGED)];
  const answers = answering(server).writer;
  const deps = recordingDeps();
  const writer = {
    request: async <T>(request: Request): Promise<T> => {
      deps.requests.push(request);
      if (request.method !== 'PATCH' || !request.path.includes(`/${kind}/`)) return answers.request(request);
      if (how === DENIES) throw new KubeError('forbidden', 'the backup owns it', 403);
      return (isPods ? server[1] : server[3]) as T;
    },
  };
  const changed = relayObject(changes);
  const state = world(server);
  const look = settledWorld({ relay: changed, objects: state.objects, pods: state.pods });
  const { lookAgainMs } = await reconcile(look, { ...deps, writer });
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'));
  const status = deps.requests.find(({ path }) => path.endsWith('/status'))?.body as {
    status: { conditions: { type: string; status: string; reason: string; message: string }[] };
  };
  const find = (type: string) => status.status.conditions.find((one) => one.type === type);
  return { written: written.map(({ body }) => ['', body] as [string, unknown]), find, lookAgainMs };
}

for (const how of [STRIPS, DENIES])
  for (const kind of ['pods', 'persistentvolumeclaims'] as const)
    test(`what ${how} the labels of ${kind} holds up nothing else, and is told`, async () => {
      const { written, find, lookAgainMs } = await besides(how, kind, { logging: { level: 'debug' } });
      assert.ok(namesOf(written).includes('ConfigMap/relay-policy'), 'the new policy is applied');
      assert.equal(find('Stalled'), undefined);
      const sound = find('ConfigurationSound');
      assert.equal(sound?.reason, 'ExtraRefused');
      assert.match(
        String(sound?.message),
        /the labelling of (Pod|PersistentVolumeClaim)\/(spool-)?relay-1 is not as it should be \(.*the relay does not scale in, and its volumes keep their size: correct what refuses it$/,
      );
      assert.ok(lookAgainMs !== undefined && lookAgainMs > 0, 'it is tried again after a pause');
    });

test('the relay does not scale in, and its volumes keep their size, while one of its objects is not seen', async () => {
  const queue = { storage: { size: '9Gi' } };
  const logging = { level: 'debug' };
  const { written } = await besides(DENIES, 'persistentvolumeclaims', { replicas: 1, queue, logging });
  const sets = written.map(([, body]) => body as KubeObject).filter(({ kind }) => kind === 'StatefulSet');
  const before = liveObjects(relayObject()).get('StatefulSet/relay')?.['spec'] as StatefulSetSpec;
  for (const set of sets) {
    const { replicas, volumeClaimTemplates } = set['spec'] as StatefulSetSpec;
    assert.deepEqual([replicas, volumeClaimTemplates], [2, before.volumeClaimTemplates]);
  }
  assert.equal(scaleOf(written), 2);
  assert.doesNotMatch(JSON.stringify(written), /9Gi|DeleteOptions/);
});

test('a claim whose reading fails, long after it failed for a while, is read again soon', async () => {
  let now = 0;
  const server = [pod(0), pod(1), claim(0), claim(1, {})];
  const all = new AllPaces(() => now);
  const answers = answering(server).writer;
  const readsAt = async (ms: number, isRefused: boolean) => {
    now += ms;
    let reads = 0;
    const request = async <T>(sent: Request): Promise<T> => {
      const isIts = sent.method === 'GET' && sent.path.endsWith('/spool-relay-1');
      if (isIts) reads += 1;
      if (isIts && isRefused) throw new KubeError('forbidden', 'no rights', 403);
      return answers.request(sent);
    };
    await reconcile(world(server), {
      ...recordingDeps(),
      writer: { request, paces: all.of('mail/relay', 3) },
    });
    return reads;
  };
  for (let nth = 0; nth < 10; nth++) assert.equal(await readsAt(60_000, true), 1);
  assert.equal(await readsAt(60_000, false), 1);
  assert.deepEqual([await readsAt(3_600_000, true), await readsAt(600, false)], [1, 1]);
});
