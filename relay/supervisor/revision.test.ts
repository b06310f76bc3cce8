import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { Revisions } from './revision.ts';

type Status = Omit<PodStatus, 'revision'>;
const sessions = { open: 0, ofOldPolicy: 0, oldPolicyEnds: null, plaintextClients: 0 };
const status = (changes: Partial<PodStatus['sessions']> = {}, ready = true) =>
  ({ ready, sessions: { ...sessions, ...changes }, queue: { depth: 0 } }) as unknown as Status;

test('facts raise the revision at once, figures at most once a minute', () => {
  let now = 0;
  const revisions = new Revisions(() => now);
  const seen: string[] = [];
  const consider = (at: number, next: Status) => {
    now = at;
    revisions.consider(next);
    seen.push(revisions.current.split('.')[1] ?? '');
  };
  consider(0, status());
  consider(1, status({ open: 1 }));
  consider(2, status({ open: 2 }, false));
  consider(3, status({ open: 3 }, false));
  consider(60_002, status({ open: 3 }, false));
  consider(200_000, status({ open: 3 }, false));
  consider(200_001, status({ open: 3, ofOldPolicy: 1 }, false));
  assert.deepEqual(seen, ['1', '1', '2', '2', '3', '3', '4']);
});

test('who waits for another revision is woken by it, and answered at once when it is there already', async () => {
  const revisions = new Revisions(() => 0);
  revisions.consider(status());
  const before = revisions.current;
  const waiting = revisions.differsFrom(before, 3_600_000);
  revisions.consider(status({}, false));
  await waiting;
  await revisions.differsFrom(before, 3_600_000);
  await revisions.differsFrom('of another process', 3_600_000);
});

test('two relays never have the same revision', () => {
  assert.notEqual(new Revisions(() => 0).current, new Revisions(() => 0).current);
});
