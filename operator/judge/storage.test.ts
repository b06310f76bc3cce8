/** The effect of a new queue size, by the sizes that the claims request and have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { reconcile } from '../reconcile.ts';
import { renderAll } from '../render/index.ts';
import { judge } from './chain.ts';
import { planStorage } from './storage.ts';

interface Case {
  readonly what: string;
  readonly before: string;
  readonly size: string;
  /** The size that each claim requests, and the size that it has. */
  readonly claims: readonly (readonly [string, string | undefined])[];
  /** What the claims note. */
  readonly granted?: string;
  /** The size of which the status says that it is asked for in vain, once the StatefulSet has the new size. */
  readonly stands?: string;
  readonly plan: string;
}

const TABLE: readonly Case[] = [
  { what: 'the same', before: '1Gi', size: '1024Mi', claims: [['1Gi', '1Gi']], plan: 'none' },
  {
    what: 'more',
    before: '1Gi',
    size: '2Gi',
    claims: [
      ['1Gi', '1Gi'],
      ['3Gi', '3Gi'],
    ],
    plan: 'changes 0',
  },
  { what: 'less than is granted', before: '2Gi', size: '1Gi', claims: [['2Gi', '2Gi']], plan: 'shrinks 2Gi' },
  {
    what: 'less than one of several has',
    before: '2Gi',
    size: '1Gi',
    claims: [
      ['2Gi', '1Gi'],
      ['2Gi', '2Gi'],
    ],
    plan: 'shrinks 2Gi',
  },
  {
    what: 'a slip of the pen that was never granted',
    before: '10Ti',
    size: '10Gi',
    claims: [['10Ti', '10Gi']],
    plan: 'changes',
  },
  { what: 'or in part', before: '10Ti', size: '20Gi', claims: [['10Ti', '10Gi']], plan: 'changes 0' },
  {
    what: 'of claims that wait',
    before: '10Ti',
    size: '1Gi',
    claims: [['10Ti', undefined]],
    plan: 'changes 0',
  },
  {
    what: 'more than asked for was granted',
    before: '1Gi',
    size: '2Gi',
    claims: [['1Gi', '10Gi']],
    plan: 'changes 0',
  },
  {
    what: 'of which nothing is given back',
    before: '5Gi',
    size: '2Gi',
    claims: [['5Gi', '10Gi']],
    plan: 'shrinks 10Gi',
  },
  { what: 'somebody asked for more', before: '2Gi', size: '1Gi', claims: [['8Gi', '1Gi']], plan: 'changes' },
  {
    what: 'a slip that is noted',
    before: '10Ti',
    size: '10Gi',
    claims: [['10Ti', '10Gi']],
    granted: '10Gi/10Gi',
    plan: 'changes',
    stands: '10Ti',
  },
  {
    what: 'more, after it was taken back in the spec alone',
    before: '10Gi',
    size: '20Gi',
    claims: [['10Ti', '10Gi']],
    granted: '10Gi/10Gi',
    plan: 'changes 0',
  },
  {
    what: 'a slip after more was granted than asked for',
    before: '10Ti',
    size: '10Gi',
    claims: [['10Ti', '12Gi']],
    granted: '10Gi/12Gi',
    plan: 'changes',
    stands: '10Ti',
  },
  {
    what: 'less than before the slip',
    before: '10Ti',
    size: '5Gi',
    claims: [['10Ti', '10Gi']],
    granted: '8Gi/10Gi',
    plan: 'shrinks 10Gi',
  },
  {
    what: 'a size from before one that was granted',
    before: '20Gi',
    size: '10Gi',
    claims: [['20Gi', '20Gi']],
    granted: '10Gi/12Gi',
    plan: 'shrinks 20Gi',
  },
  {
    what: 'somebody asked for more than the volume that grew has',
    before: '10Gi',
    size: '15Gi',
    claims: [['50Gi', '12Gi']],
    granted: '5Gi/6Gi',
    plan: 'changes',
  },
  { what: 'no claims', before: '2Gi', size: '1Gi', claims: [], plan: 'changes' },
];

for (const { what, before, size, claims, granted: note, plan, stands } of TABLE) {
  test(`from ${before} to ${size}, ${what}: ${plan}`, () => {
    const relay = relayObject({ queue: { storage: { size } } });
    const objects = liveObjects(relayObject({ queue: { storage: { size: before } } }));
    for (const [ordinal, [storage, granted]] of claims.entries()) {
      const annotations = note === undefined ? {} : { [ANNOTATIONS.granted]: note };
      const metadata = { name: `spool-relay-${ordinal}`, namespace: 'mail', annotations };
      const status = granted === undefined ? {} : { capacity: { storage: granted } };
      const spec = { resources: { requests: { storage } } };
      objects.set(`PersistentVolumeClaim/${metadata.name}`, {
        kind: 'PersistentVolumeClaim',
        metadata,
        spec,
        status,
      });
    }
    const world = settledWorld({ relay, objects });
    const live = objects.get('StatefulSet/relay') as KubeObject;
    const wanted = renderAll(relay, world.policy as never, SETTINGS).find(
      ({ kind }) => kind === 'StatefulSet',
    );
    assert.ok(wanted);
    const found = planStorage(world, live, wanted);
    const said = !found
      ? ['none']
      : found.kind === 'shrinks'
        ? [found.kind, found.granted]
        : [found.kind, ...found.claims.map(({ claim }) => claim.metadata.name.replace('spool-relay-', ''))];
    assert.equal(said.join(' '), plan);
    if (found?.kind === 'changes') {
      objects.set('StatefulSet/relay', liveObjects(relay).get('StatefulSet/relay') as KubeObject);
      const { ConfigurationSound: sound } = judge({ ...world, objects, obstacles: [] });
      const [, said] = /still asks for (\S+), and/.exec(sound?.message ?? '') ?? [];
      assert.equal(found.claims.length > 0 ? undefined : said, stands);
    }
    if (found?.kind !== 'shrinks') return;
    const { Stalled } = judge({ ...world, obstacles: [found] });
    assert.equal(Stalled?.reason, 'StorageCannotShrink');
    assert.match(Stalled?.message ?? '', /size (1|2|5|10)Gi/);
    assert.match(Stalled?.message ?? '', /: set (2|10|20)Gi or more, or make a second MailRelay/);
  });
}

test('a change notes what was granted before it, and leaves the note of an earlier one', async () => {
  const patchOf = async (before: string, [asked, capacity]: readonly [string, string], size: string) => {
    const relay = relayObject({ queue: { storage: { size } } });
    const objects = liveObjects(relayObject({ queue: { storage: { size: before } } }));
    objects.set('PersistentVolumeClaim/spool-relay-0', {
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'spool-relay-0', namespace: 'mail' },
      spec: { resources: { requests: { storage: asked } } },
      status: { capacity: { storage: capacity } },
    });
    const deps = recordingDeps(notFound);
    await reconcile(settledWorld({ relay, objects }), deps);
    return deps.requests.find(({ method, path }) => method === 'PATCH' && path.endsWith('/spool-relay-0'))
      ?.body;
  };
  const spec = (storage: string) => ({ resources: { requests: { storage } } });
  assert.deepEqual(await patchOf('10Gi', ['10Gi', '12Gi'], '10Ti'), {
    metadata: { annotations: { [ANNOTATIONS.granted]: '10Gi/12Gi' } },
    spec: spec('10Ti'),
  });
  assert.deepEqual(await patchOf('10Ti', ['10Ti', '12Gi'], '20Ti'), { spec: spec('20Ti') });
});
