import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { Refresher } from './refresh.ts';

const relay = relayObject();
const HANDING_OVER = { state: 'HandingOver', message: null } as const;

const pod = (name: string, evacuation: PodStatus['evacuation']) =>
  podView(name, podReport(relay, { evacuation }));
const touched = (changes: Parameters<typeof settledWorld>[0]) =>
  new Refresher().plan(settledWorld({ relay, ...changes })).touches.map(({ pod }) => pod.name);

test('a pod that is to leave is touched until it knows', () => {
  assert.deepEqual(touched({ leaving: [pod('relay-2', null)] }), ['relay-2']);
  assert.deepEqual(touched({ leaving: [pod('relay-2', HANDING_OVER)] }), []);
});

test('a pod that is wanted again is touched until it knows', () => {
  const pods = [pod('relay-0', null), pod('relay-1', HANDING_OVER)];
  assert.deepEqual(touched({ pods }), ['relay-1']);
});

test('an older relay says nothing of it, and is let alone', () => {
  assert.deepEqual(touched({ leaving: [pod('relay-2', undefined)] }), []);
});
