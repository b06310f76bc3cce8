import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { gatherWorld } from './gather.ts';
import type { KubeObject } from './kube/client.ts';

test('a pod of another name does not speak for the one of its number, whatever its labels', () => {
  const relay = relayObject();
  const names = ['relay-0', 'relay-2', 'relay-debug-0', 'relay-copy-2', 'relay-02'];
  const objects = names.map((name): [string, KubeObject] => [
    `Pod/${name}`,
    { kind: 'Pod', metadata: { name, namespace: 'mail', uid: `uid-of-${name}` } },
  ]);
  const world = gatherWorld('mail/relay', {
    caches: { relay: () => relay, objectsOf: () => new Map(objects), knows: () => true },
    reportOf: () => podReport(relay, { evacuation: { state: 'Emptied', message: null } }),
    asked: () => true,
    now: () => 0,
  });
  assert.deepEqual(
    [world?.pods, world?.leaving].map((pods) => pods?.map(({ name }) => name)),
    [['relay-0'], ['relay-2']],
  );
});
