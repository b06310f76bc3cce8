import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSpool } from '#test/kit/handoverrig.ts';
import { Giver } from '../handover/giver.ts';
import { Counters } from './counts.ts';
import type { QueueFigures } from './messages.ts';
import { QueueTeller } from './queueteller.ts';

test('figures that cannot be read once are told later, and the process goes on', () => {
  const spool = openSpool();
  const [log, readPolicies] = [() => undefined, () => null];
  const giver = new Giver({ spool, siblings: [], log, clock: () => 0, readPolicies });
  const told: unknown[] = [];
  const teller = new QueueTeller(
    ({ kind }) => told.push(kind),
    ({ message }) => told.push(message),
  );
  const tell = () => teller.tell(giver.counters, () => giver.figures);
  Object.defineProperty(spool, 'damaged', {
    configurable: true,
    get: () => {
      Reflect.deleteProperty(spool, 'damaged');
      throw new Error('The queue is being recovered');
    },
  });
  for (let count = 0; count < 3; count++) tell();
  assert.deepEqual(told, ['The queue is being recovered', 'queue']);
});

test('a fault that stays is told once, and again after figures could be read', () => {
  const faults: string[] = [];
  const teller = new QueueTeller(
    () => undefined,
    ({ message }) => faults.push(message),
  );
  const counters = new Counters();
  const fail = (text: string) => () => {
    throw new Error(text);
  };
  for (const text of ['EIO', 'EIO', 'ENOSPC', 'EIO']) teller.tell(counters, fail(text));
  teller.tell(counters, () => ({}) as QueueFigures);
  teller.tell(counters, fail('EIO'));
  assert.deepEqual(faults, ['EIO', 'ENOSPC', 'EIO', 'EIO']);
});
