/** The effect of a new queue size, by the sizes that the claims request and have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveObjects, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { renderAll } from '../render/index.ts';
import { judge } from './chain.ts';
import { planStorage } from './storage.ts';

interface Case {
  readonly what: string;
  readonly before: string;
  readonly size: string;
  /** The size that each claim requests, and the size that it has. */
  readonly claims: readonly (readonly [string, string | undefined])[];
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
  { what: 'no claims', before: '2Gi', size: '1Gi', claims: [], plan: 'changes' },
];

for (const { what, before, size, claims, plan } of TABLE) {
  test(`from ${before} to ${size}, ${what}: ${plan}`, () => {
    const relay = relayObject({ queue: { storage: { size } } });
    const objects = liveObjects(relayObject({ queue: { storage: { size: before } } }));
    for (const [ordinal, [storage, granted]] of claims.entries()) {
      const metadata = { name: `spool-relay-${ordinal}`, namespace: 'mail' };
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
        : [found.kind, ...found.claims.map(({ metadata }) => metadata.name.replace('spool-relay-', ''))];
    assert.equal(said.join(' '), plan);
    if (found?.kind !== 'shrinks') return;
    const { Stalled } = judge({ ...world, obstacles: [found] });
    assert.equal(Stalled?.reason, 'StorageCannotShrink');
    assert.match(Stalled?.message ?? '', /size 1Gi|size 2Gi/);
    assert.match(Stalled?.message ?? '', /: set (2|10)Gi or more, or make a second MailRelay/);
  });
}
