/** Pods that wait for something else than room: for a volume, for a controller that says they are ready, or lets them go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTrouble } from './trouble.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ago = (seconds: number) => new Date(NOW - seconds * 1_000).toISOString();

test('a gate of readiness that nobody sets is told, once its controller had time for it', () => {
  const told = (seconds: number, reason = 'ReadinessGatesNotReady') => {
    const message =
      'corresponding condition of pod readiness gate "target-health.elbv2.k8s.aws/x" does not exist.';
    const conditions = [
      { type: 'ContainersReady', status: 'True', lastTransitionTime: ago(seconds) },
      { type: 'Ready', status: 'False', reason, message },
    ];
    return findTrouble({ conditions }, { now: NOW });
  };
  assert.equal(told(5), undefined);
  assert.equal(told(60, 'ContainersNotReady'), undefined, 'a container is at its start');
  assert.match(
    told(60)?.message ?? '',
    /^ReadinessGatesNotReady: corresponding .*target-health.* does not exist\. \(see why the controller of that gate does not set it/,
  );
  assert.equal(told(60)?.isStuck, false);
});

test('a pod that has ended and is not gone is held by something else than its node', () => {
  const told = (phase: string) =>
    findTrouble({ phase }, { now: NOW, deletionTimestamp: ago(60), node: 'worker-1' })?.message ?? '';
  for (const phase of ['Succeeded', 'Failed'])
    assert.match(
      told(phase),
      /^Terminating: it has ended, and it is not gone \(look for finalizers of the pod/,
    );
  assert.match(told('Running'), /most likely its node worker-1 is away/);
});

for (const [message, cure] of [
  [
    '0/1 nodes are available: persistentvolumeclaim "spool-relay-0" bound to non-existent persistentvolume "pv-1". preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    /\(its volume is gone, and its mail with it: restore the PersistentVolume, or delete the claim and then the pod/,
  ],
  [
    '0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).',
    /\(its volume is gone, /,
  ],
  [
    '0/1 nodes are available: persistentvolumeclaim "spool-relay-0" is being deleted.',
    /\(wait until that claim is gone; if it stays, look for its finalizers\)$/,
  ],
  [
    '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
    /\(mend the StorageClass or its provisioner\)$/,
  ],
  [
    'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
    /\(mend the StorageClass or its provisioner\)$/,
  ],
  ['0/3 nodes are available: 3 node(s) had volume node affinity conflict.', /\(make room, bring nodes back/],
] as const)
  test(`the scheduler: ${message}`, () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
    const found = findTrouble({ conditions }, { now: NOW });
    assert.match(found?.message ?? '', cure);
    assert.equal(found?.isStuck, false);
  });

test('a pod that does not end is told with its node, and one that is ending is not', () => {
  const message = (minutes: number, node?: string) =>
    findTrouble({}, { now: NOW, deletionTimestamp: ago(minutes * 60), node })?.message;
  assert.match(
    message(1, 'worker-1') ?? '',
    /^Terminating: it should have ended at 2026-01-01T11:59:00.*, and most likely its node worker-1 is away \(if "kubectl get node" shows the node as NotReady, bring the node back, or delete it/,
  );
  assert.match(message(1) ?? '', /most likely its node is away/);
  assert.equal(message(0.1), undefined);
  assert.equal(message(-1), undefined);
  const crashes = {
    containerStatuses: [{ name: 'relay', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  };
  const found = findTrouble(crashes, { now: NOW, deletionTimestamp: ago(-60) });
  assert.equal(found?.reason, 'CrashLoopBackOff', 'its own trouble stays while it ends');
});
