import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeReply } from './verdict.ts';

function word(code: number | undefined): string {
  const verdict = judgeReply(code, 'said');
  if (verdict.kind === 'delivered') return 'delivered';
  return verdict.failure.permanent ? 'refused' : 'deferred';
}

test('2xx is delivered, 4xx waits, 5xx is refused', () => {
  assert.deepEqual([200, 250, 251, 299].map(word), Array(4).fill('delivered'));
  assert.deepEqual([400, 421, 450, 451, 452, 499].map(word), Array(6).fill('deferred'));
  assert.deepEqual([500, 550, 552, 554, 599].map(word), Array(5).fill('refused'));
});

test('what speaks of the session, and what is no reply at all, waits', () => {
  assert.deepEqual([503, 530, 535, 538, undefined, 0, 150, 354, 600].map(word), Array(9).fill('deferred'));
});

test('the status is the enhanced code behind the reply code, where its class fits', () => {
  const status = (code: number, said: string) => {
    const verdict = judgeReply(code, said);
    return verdict.kind === 'failed' ? verdict.failure.status : '';
  };
  assert.equal(status(550, '550 5.1.1 no such user'), '5.1.1');
  assert.equal(status(550, '550-5.1.1 no such user'), '5.1.1');
  assert.equal(status(450, '450 4.2.1'), '4.2.1');
  assert.equal(status(450, '450 5.2.1 a wrong class'), '4.0.0');
  assert.equal(status(550, '550 see 5.1.1 of our rules'), '5.0.0');
  assert.equal(status(550, '550 5.1.1.7 no code'), '5.0.0');
});

test('a reply of any length is one short line', () => {
  const verdict = judgeReply(550, `550 a\r\n250 ${'x'.repeat(10_000)}`);
  assert.ok(verdict.kind === 'failed');
  assert.equal(verdict.failure.text.length, 500);
  assert.doesNotMatch(verdict.failure.text, /[\r\n]/);
});
