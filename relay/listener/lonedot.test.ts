import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import fc from '#test/kit/property.ts';
import { feedData, type LoneDot } from './dataparser.ts';

type Seen = readonly [LoneDot, isLast: boolean];

/** The lone dots that are reported for a message in these chunks. */
async function seenIn(chunks: readonly string[]): Promise<Seen[]> {
  const seen: Seen[] = [];
  const parser = new SMTPStream();
  parser.oncommand = (_, callback) => callback?.();
  parser._feedDataStream = (chunk, done) => {
    for (const [index, [kind]] of seen.entries()) seen[index] = [kind, false];
    feedData(parser, chunk, done, (kind, isLast) => {
      seen.push([kind, isLast]);
      return false;
    });
  };
  const stream = parser.startDataMode();
  stream.resume();
  stream.on('end', () => parser.continue());
  for (const chunk of chunks) {
    const taken = Promise.withResolvers<void>();
    parser.write(Buffer.from(chunk, 'latin1'), () => taken.resolve());
    await taken.promise;
  }
  return seen;
}

for (const [text, wanted] of [
  ['a\n.\n', [['LF.LF', true]]],
  ['a\n.\nb', [['LF.LF', false]]],
  ['a\n.\r\n', [['other', true]]],
  ['a\r\n.\n', [['other', true]]],
  ['.\n', [['other', true]]],
  ['.\nQUIT\r\n', [['other', false]]],
  ['\n.\n', [['LF.LF', true]]],
  ['a\n..\n', []],
  ['a\n.b\n', []],
  ['a.\n', []],
  ['a\r.\r', []],
  [
    'a\n.\n.\n',
    [
      ['LF.LF', false],
      ['LF.LF', true],
    ],
  ],
  ['a\r\n..\n.\n', [['LF.LF', true]]],
] as const)
  test(`in ${JSON.stringify(text)}, whole or byte by byte`, async () => {
    assert.deepEqual(await seenIn([text]), wanted);
    assert.deepEqual(await seenIn([...text]), wanted);
  });

test('the same lines are told of, however the message is cut', async () => {
  const piece = fc.constantFrom('.', '..', '\r', '\n', '\r\n', '\r\n.', '\n.\n', '\n.\r\n', 'a');
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.nat(6), async (pieces, size) => {
      const text =
        pieces
          .join('')
          .split('\r\n.\r\n')[0]
          ?.replace(/^\.\r\n/, '') ?? '';
      const parts = text.match(new RegExp(`[^]{1,${size + 1}}`, 'g')) ?? [];
      assert.deepEqual(await seenIn(parts), await seenIn([text]));
    }),
    { numRuns: 1_000 },
  );
});
