import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { FirstLine } from './firstline.ts';

function passed(text: string, size = text.length || 1): string {
  const first = new FirstLine();
  const out: Buffer[] = [];
  for (let at = 0; at < text.length; at += size)
    out.push(...first.push(Buffer.from(text.slice(at, at + size), 'latin1')));
  return Buffer.concat([...out, ...first.end()]).toString('latin1');
}

for (const [before, after] of [
  ['Subject: x\r\n\r\nhi', 'Subject: x\r\n\r\nhi'],
  ['\r\nhi', '\r\nhi'],
  ['', ''],
  [' Subject: x\r\n\r\nhi', '\r\n Subject: x\r\n\r\nhi'],
  ['\tx\r\n', '\r\n\tx\r\n'],
  ['hello world\r\nSubject: x\r\n', '\r\nhello world\r\nSubject: x\r\n'],
  ['hello', '\r\nhello'],
  ['From a@b Mon\r\nSubject: x\r\n', 'X-Mailbox-Line: From a@b Mon\r\nSubject: x\r\n'],
  ['>>From a\r\n>From b\r\nTo: c\r\n', 'X-Mailbox-Line: >>From a\r\nX-Mailbox-Line: >From b\r\nTo: c\r\n'],
  ['From a\r\n folded\r\n', 'X-Mailbox-Line: From a\r\n\r\n folded\r\n'],
  ['From a\r\nhello\r\n', 'X-Mailbox-Line: From a\r\n\r\nhello\r\n'],
  ['From: a@b\r\n', 'From: a@b\r\n'],
  ['From : a@b\r\n', 'From : a@b\r\n'],
  ['Fromage: x\r\n', 'Fromage: x\r\n'],
  [`${'x'.repeat(2_000)}\r\n`, `\r\n${'x'.repeat(2_000)}\r\n`],
] as const)
  test(`${JSON.stringify(before.slice(0, 40))} goes on behind our field, whole or byte by byte`, () => {
    assert.equal(passed(before), after);
    assert.equal(passed(before, 1), after);
  });

test('very many mailbox lines cost no more than other lines, and the message grows little', () => {
  for (const line of ['From xxxxxxxxxxxxxxxxxxxxxxx\r\n', 'From a\r\n', '>From x\r\n']) {
    const text = `${line.repeat(200_000)}Subject: x\r\n\r\nhi`;
    const out = passed(text, 64 * 1024);
    assert.equal(out.length, text.length + 100 * 'X-Mailbox-Line: '.length + 2);
    assert.ok(out.startsWith(`X-Mailbox-Line: ${line}`.repeat(100)));
    assert.equal(out.slice(100 * `X-Mailbox-Line: ${line}`.length).startsWith(`\r\n${line}`), true);
  }
});

test('the same comes out, however a message is cut, and nothing is lost', () => {
  const piece = fc.constantFrom('From ', 'From:', '>', ' ', '\r\n', '\r', 'a', ':', 'hello');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), fc.integer({ min: 1, max: 9 }), (pieces, size) => {
      const text = pieces.join('');
      const whole = passed(text);
      assert.equal(passed(text, size), whole);
      const inserted = whole.replaceAll('X-Mailbox-Line: ', '');
      if (inserted !== text) assert.equal(inserted.length, text.length + 2);
    }),
    { numRuns: 2_000 },
  );
});
