/** The replies of a hop are the same, however its bytes are cut into chunks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import type { Reply } from './reply.ts';
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
  ['text before a reply', 'a\r\nb\r\n250-c\r\n250 d\r\n', ['250-c\n250 d\na\nb (doubtful)'], ''],
  ['digits that are no code', '2026-11-30 x\r\n451 no\r\n', ['451 no\n2026-11-30 x (doubtful)'], ''],
  [
    'digits that are no code in a reply',
    '550-a\r\n203.0.113.5 b\r\n550 c\r\n',
    ['550-a\n203.0.113.5 b\n550 c'],
    '',
  ],
  ['text between different codes', '550-a\r\nb\r\n250 c\r\n', ['250 c\n550-a\nb (doubtful)'], ''],
  ['codes that nobody knows', '199 a\r\n600 b\r\n250 d\r\n', ['250 d\n199 a\n600 b (doubtful)'], ''],
  ['codes of no RFC', '571 a\r\n491-b\r\n491 c\r\n299 d\r\n', ['571 a', '491-b\n491 c', '299 d'], ''],
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

const CODE = fc.tuple(fc.constantFrom(2, 3, 4, 5), fc.nat(9), fc.nat(9)).map((digits) => digits.join(''));
const WORDS = fc.string({ unit: fc.constantFrom(...'ab 0259-.ö✓'), maxLength: 8 });
/** Neither a code alone, nor one with a hyphen or a space behind it. */
const TEXT = fc
  .oneof(
    WORDS,
    fc
      .tuple(CODE, fc.constantFrom('.', '/', '_', '\t', ':', '0', '5', '\u00a0'), WORDS)
      .map((parts) => parts.join('')),
    fc
      .tuple(fc.constantFrom('199', '600', '050', '25', '2', ' 250', '+250', '２５０'), WORDS)
      .map(([one, two]) => `${one} ${two}`),
  )
  .filter((line) => !/^[2-5][0-9]{2}([ -]|$)/.test(line));
const REPLY = fc.record({
  code: CODE,
  before: fc.array(TEXT, { maxLength: 3 }),
  /** Lines that go on, with their codes, and the text between them. */
  more: fc.array(
    fc.oneof(
      fc.tuple(CODE, WORDS).map(([code, words]) => `${code}-${words}`),
      TEXT,
    ),
    { maxLength: 4 },
  ),
  last: fc.oneof(
    fc.constant(''),
    WORDS.map((words) => ` ${words}`),
  ),
});

test('text without a code changes no code, wherever it stands and however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(REPLY, { maxLength: 6 }),
      fc.array(fc.nat(200), { maxLength: 12 }),
      (replies, places) => {
        const lines = replies.flatMap(({ code, before, more, last }) => [
          ...before,
          ...more,
          `${code}${last}`,
        ]);
        const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
        const cuts = [...new Set([0, ...places.filter((at) => at < bytes.length), bytes.length])].sort(
          (one, other) => one - other,
        );
        const chunks = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
        const reader = new ReplyReader();
        const read: Reply[] = [];
        for (const chunk of chunks) {
          reader.add(chunk);
          for (let reply = reader.next(); reply !== undefined; reply = reader.next()) read.push(reply);
        }
        assert.deepEqual(
          read.map(({ code }) => String(code)),
          replies.map(({ code }) => code),
        );
        // Who looks at the text alone reads the same code.
        for (const { code, text } of read) assert.equal(text.slice(0, 3), String(code));
        assert.equal(reader.isInReply, false);
      },
    ),
    { numRuns: 500 },
  );
});

for (const [what, piece, longest] of [
  ['a line', 'x', 33 * 1024],
  ['text without a code', 'x\r\n', 33 * 1024],
  ['a reply of two codes in turn', '250-x\r\n550-x\r\n', 33 * 1024],
  ['a reply', '250-x and more of it\r\n', 1025 * 1024],
] as const)
  test(`${what} without end is too long at some time, and many whole replies are not`, () => {
    const reader = new ReplyReader();
    for (let bytes = 0; bytes < longest; bytes += piece.length) {
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
