import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classifyReply } from './verdict.ts';

const of = (code: number | undefined) => classifyReply(code, 'said').kind;

test('2xx is delivered, 4xx waits, 5xx is refused', () => {
  assert.deepEqual([200, 250, 251, 299].map(of), Array(4).fill('delivered'));
  assert.deepEqual([400, 421, 450, 451, 452, 499].map(of), Array(6).fill('deferred'));
  assert.deepEqual([500, 550, 552, 554, 599].map(of), Array(5).fill('refused'));
});

test('what speaks of the session, and what is no reply at all, waits', () => {
  assert.deepEqual([503, 530, 535, 538, undefined, 0, 150, 354, 600].map(of), Array(9).fill('deferred'));
});

test('a reply of any length is kept short', () => {
  const verdict = classifyReply(550, 'x'.repeat(10_000));
  assert.ok(verdict.kind === 'refused' && verdict.reason.length === 500);
});
