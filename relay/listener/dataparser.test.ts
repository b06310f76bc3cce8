import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import fc from '#test/kit/property.ts';
import { feedData } from './dataparser.ts';

interface Parsed {
  readonly content: string;
  readonly ended: boolean;
  readonly bytes: number;
  readonly commands: readonly string[];
}

/** The result of a parser for these chunks plus an end of the message, when it reads message data. */
async function parse(parser: SMTPStream, chunks: readonly string[]): Promise<Parsed> {
  const commands: string[] = [];
  parser.oncommand = (command, callback) => {
    commands.push(command.toString());
    callback?.();
  };
  let content = '';
  let ended = false;
  const stream = parser.startDataMode();
  stream.on('data', (chunk: Buffer) => {
    content += chunk.toString('latin1');
  });
  stream.on('end', () => {
    ended = true;
    parser.continue();
  });
  for (const chunk of [...chunks, '\r\n.\r\n']) {
    const taken = Promise.withResolvers<void>();
    parser.write(Buffer.from(chunk, 'latin1'), () => taken.resolve());
    await taken.promise;
  }
  // The end of the message, and the bytes after it, need a few turns of the event loop.
  for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next));
  return { content, ended, bytes: stream.byteLength, commands };
}

function ours(): SMTPStream {
  const parser = new SMTPStream();
  parser._feedDataStream = (chunk, done) => feedData(parser, chunk, done);
  return parser;
}

const CUTS = [
  ['a\r\n.\r\n'],
  ['.\r\nNOOP\r\n'],
  ['..\r\n.\r\n'],
  ['.', '.\r\n.\r\n'],
  ['..', '\r\n', '.\r\n'],
  ['a\r\n', '.', '\r', '\nQUIT\r\n'],
  ['a\r\n..\r\n..b\r\n.c\r\n.\r\nNOOP\r\nQUIT\r\n'],
  ['a\n.\r\n.\n\r\n.\r\n'],
];

for (const chunks of CUTS) {
  test(`as the library: ${JSON.stringify(chunks)}`, async () => {
    assert.deepEqual(await parse(ours(), chunks), await parse(new SMTPStream(), chunks));
  });
}

test('as the library, whatever the message and however it is cut', async () => {
  const piece = fc.constantFrom('.', '..', '\r', '\n', '\r\n', '\r\n.', '\r\n..', '\r\n.\r\n', 'a', 'bcd');
  const chunk = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''));
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 6 }), async (chunks) => {
      assert.deepEqual(await parse(ours(), chunks), await parse(new SMTPStream(), chunks));
    }),
    { numRuns: 2_000 },
  );
});
