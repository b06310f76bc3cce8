/** To which pods Services send clients. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { PodView } from '../world.ts';
import { relabelled } from './serving.ts';

const relay = relayObject();
const changed = (pods: readonly PodView[], leaving: readonly PodView[] = []) =>
  relabelled(settledWorld({ pods, leaving })).map(({ pod, serving }) => `${pod.name} ${serving}`);
const pod = (name: string, changes: Partial<PodView> = {}, report = podReport(relay)) =>
  podView(name, report, changes);

test('pods that stay are in, those that leave are out, and what is as it should be is not touched', () => {
  const out = { serving: 'false' };
  assert.deepEqual(changed([pod('relay-0'), pod('relay-1')], [pod('relay-2', out)]), []);
  assert.deepEqual(changed([pod('relay-0')], [pod('relay-1'), pod('relay-2')]), [
    'relay-1 false',
    'relay-2 false',
  ]);
  assert.deepEqual(
    changed([pod('relay-0', { serving: undefined })]),
    ['relay-0 true'],
    'of an older operator',
  );
  assert.deepEqual(changed([], [pod('relay-1', { deleting: true })]), [], 'it goes by itself');
});

test('one that is wanted again comes in when it says that it stays, not before', () => {
  const evacuation = { state: 'HandingOver', message: null } as const;
  const out = { serving: 'false' };
  assert.deepEqual(changed([pod('relay-1', out, podReport(relay, { evacuation }))]), []);
  assert.deepEqual(changed([podView('relay-1', undefined, out)]), []);
  assert.deepEqual(changed([pod('relay-1', out)]), ['relay-1 true']);
});
