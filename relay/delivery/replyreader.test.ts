/** The replies of a hop are the same, however its bytes are cut into chunks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { ReplyReader } from './replyreader.ts';

/** Reads while bytes come. Returns the replies and whether one has begun and not ended. */
function read(chunks: readonly Buffer[]): { replies: string[]; isInReply: boolean; begun: string } {
  const reader = new ReplyReader();
  const replies: string[] = [];
  for (const chunk of chunks) {
    reader.add(chunk);
    for (let reply = reader.next(); reply !== undefined; reply = reader.next())
      replies.push(reply.isDoubtful ? `${reply.text} (doubtful)` : reply.text);
  }
  return { replies, isInReply: reader.isInReply, begun: reader.begun };
}

const readText = (text: string) => read([Buffer.from(text)]);

for (const [what, text, replies, begun] of [
  ['one line', '250 ok\r\n', ['250 ok'], ''],
  ['a bare line feed, and a code alone', '250 ok\n354\r\n', ['250 ok', '354'], ''],
  ['several replies', '250 ok\r\n550 no\r\n354 go\r\n', ['250 ok', '550 no', '354 go'], ''],
  ['several lines', '250-hop\r\n250-SIZE\r\n250 DSN\r\n', ['250-hop\n250-SIZE\n250 DSN'], ''],
  ['the beginning of a reply behind a whole one', '250 ok\r\n421-bye\r\n42', ['250 ok'], '421-bye\n42'],
  ['lines of a reply without its last one', '250-a\r\nb\r\n', [], '250-a\nb'],
  ['a reply with more than one code', '250-a\r\n250-b\r\n550 c\r\n', ['550 c\n250-a\n250-b'], ''],
  ['a reply with another code in its middle', '250-a\r\n550-b\r\n250 c\r\n', ['250-a\n550-b\n250 c'], ''],
  ['UTF-8 that has begun', '250-für\r\n250 dich ✓', [], '250-für\n250 dich ✓'],
  ['empty lines between replies', '\r\n \r\n250 ok\r\n\r\n250 ok\r\n\r\n', ['250 ok', '250 ok'], ''],
  [
    'lines without a code in a reply',
    '250-a\r\nb\r\n\r\n2500 c\r\n250 d\r\n',
    ['250-a\nb\n\n2500 c\n250 d'],
    '',
  ],
  ['a last line with a code alone', '250-a\r\n250\r\n', ['250-a\n250'], ''],
  ['what is no reply', 'SSH-2.0-x\r\n', [], 'SSH-2.0-x'],
  ['no line end', '250 ok', [], '250 ok'],
  ['UTF-8', '250 für dich ✓\r\n', ['250 für dich ✓'], ''],
] as const)
  test(`the replies in ${what}`, () => {
    const { isInReply: _, ...read } = readText(text);
    assert.deepEqual(read, { replies, begun });
  });

test('bytes that are no UTF-8 stay as they are', () => {
  assert.deepEqual(read([Buffer.from('250 f\xfcr\r\n', 'latin1')]).replies, ['250 f\xfcr']);
});

test('a reply, a line and nothing: only what has no end is the beginning of a reply', () => {
  for (const text of ['250 ok\r\n', '250 ok\r\n\r\n', '250-a\r\n250 b\r\n', ''])
    assert.equal(readText(text).isInReply, false, text);
  for (const text of ['2', '250 ok\r\n2', '250-a\r\n', '250-a\r\n250 b\r', '250-a\r\nb\r\n'])
    assert.equal(readText(text).isInReply, true, text);
});

const LINES = [
  '250 ok',
  '250-more',
  '550 5.1.1 nö ✓',
  '421-bye',
  '354',
  '',
  ' ',
  'no code',
  '2500 x',
  '2',
  '\r',
];

test('every way of cutting the bytes gives the same replies', () => {
  const text = fc
    .array(fc.tuple(fc.constantFrom(...LINES), fc.constantFrom('\r\n', '\r\n', '\n', '')), { maxLength: 12 })
    .map((lines) => Buffer.from(lines.flat().join('')));
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 12 }), (bytes, places) => {
      const cuts = [...new Set([0, ...places.filter((at) => at < bytes.length), bytes.length])].sort(
        (one, other) => one - other,
      );
      const chunks = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
      const single = [...bytes].map((byte) => Buffer.of(byte));
      assert.deepEqual(read(chunks), read([bytes]));
      assert.deepEqual(read(single), read([bytes]));
    }),
    { numRuns: 300 },
  );
});

for (const [what, piece] of [
  ['a line', 'x'],
  ['a reply', '250-x\r\n'],
] as const)
  test(`${what} without end is too long at some time, and many whole replies are not`, () => {
    const reader = new ReplyReader();
    for (let bytes = 0; bytes < 40_000; bytes += piece.length) {
      reader.add(Buffer.from(piece));
      assert.equal(reader.next(), undefined);
    }
    assert.equal(reader.isTooLong, true);
    reader.clear();
    assert.deepEqual([reader.isTooLong, reader.isInReply], [false, false]);
    reader.add(Buffer.from('250 ok\r\n'.repeat(10_000)));
    while (reader.next() !== undefined);
    assert.equal(reader.isTooLong, false);
  });
