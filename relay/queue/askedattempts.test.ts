import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FailureFacts, makeFailure } from '#crds/failure.ts';
import { AskedAttempts } from './askedattempts.ts';

const failed = (status: string) => {
  const facts: FailureFacts = { cause: 'reply', status, text: `it says ${status}` };
  return { kind: 'failed', failure: makeFailure(facts) } as const;
};
const DELIVERED = { kind: 'delivered', reply: '250 ok' } as const;

test('only final verdicts count, and they add up over the destinations of a message', () => {
  const asked = new AskedAttempts();
  asked.expect(['a', 'b']);
  asked.note('a', [DELIVERED, failed('4.2.0')]);
  asked.note('a', [failed('5.1.1'), DELIVERED]);
  asked.note('nobody asked', [DELIVERED]);
  assert.deepEqual([asked.find('a')?.delivered, asked.find('a')?.refused], [2, 1]);
  assert.match(asked.find('a')?.reason ?? '', /5\.1\.1/);
  assert.deepEqual(asked.find('b'), { delivered: 0, refused: 0 });
  assert.equal(asked.find('nobody asked'), undefined);
});

test('who asks again begins anew, and the oldest are forgotten', () => {
  const asked = new AskedAttempts();
  asked.expect(['a']);
  asked.note('a', [DELIVERED]);
  asked.expect(['a']);
  assert.deepEqual(asked.find('a'), { delivered: 0, refused: 0 });
  const many = Array.from({ length: 5_000 }, (_, index) => `m${index}`);
  asked.expect(many);
  assert.equal(asked.find('a'), undefined);
  assert.ok(asked.find('m0') && !asked.find('m4999'));
});
