/** Pods that another controller holds: it does not say that they are ready, or does not let them go. */
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
