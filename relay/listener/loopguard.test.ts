import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopGuard } from './loopguard.ts';

function hops(
  count: number,
  chunkBytes: number,
  tail = 'Subject: x\r\n\r\nReceived: in the body\r\n',
): boolean {
  const guard = new LoopGuard();
  const text = Buffer.from(`${'rEceived: from a\r\n'.repeat(count)}${tail}`);
  for (let at = 0; at < text.length; at += chunkBytes) {
    if (!guard.passes(text.subarray(at, at + chunkBytes))) return false;
  }
  return true;
}

test('fifty hops pass, fifty-one are a loop, however the message is cut', () => {
  for (const chunkBytes of [1, 7, 11, 64, 100_000]) {
    assert.equal(hops(50, chunkBytes), true, `${chunkBytes}`);
    assert.equal(hops(51, chunkBytes), false, `${chunkBytes}`);
  }
});

test('lines of the body are not counted', () => {
  assert.equal(hops(50, 13, `\r\n${'Received: quoted\r\n'.repeat(100)}`), true);
});
