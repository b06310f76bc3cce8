import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { MessageIdFinder } from './messageid.ts';

function find(text: string, cuts: readonly number[] = []): string | undefined {
  const finder = new MessageIdFinder();
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
  for (const [index, place] of places.slice(1).entries()) finder.push(bytes.subarray(places[index], place));
  return finder.found;
}

test('a Message-ID is found without its brackets, folded or not, in any case, first or last', () => {
  for (const [header, id] of [
    ['Message-ID: <a@b.example>\r\nSubject: s\r\n', 'a@b.example'],
    ['Subject: s\r\nmessage-id:<a@b.example>\r\n', 'a@b.example'],
    ['Subject: s\r\nMESSAGE-ID:\r\n\t<a@b.example>\r\n', 'a@b.example'],
    ['Message-Id : a@b.example (comment)\r\n', 'a@b.example'],
    ['Message-ID: <ä@b.example>\r\n', 'ä@b.example'],
    ['Subject: Message-ID: <a@b.example>\r\n', undefined],
    ['X-Message-ID: <a@b.example>\r\n', undefined],
    ['Message-ID:\r\nSubject: s\r\n', undefined],
  ] as const)
    assert.equal(find(`${header}\r\nMessage-ID: <of@the.body>\r\n`), id, header);
});

test('it is found wherever the chunks are cut', () => {
  const text =
    'Received: x\r\nMessage-ID:\r\n <a@b.example>\r\nSubject: s\r\n\r\nMessage-ID: <body@b.example>\r\n';
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 8 }), (cuts) => {
      assert.equal(find(text, cuts), 'a@b.example');
    }),
  );
});

test('nothing of the body is decoded', ({ mock }) => {
  const header = 'Subject: s\r\nMessage-ID: <a@b.example>\r\n\r\n';
  const chunk = Buffer.from(`${header}${'x'.repeat(10_000)}`);
  const decode = mock.method(chunk, 'toString');
  const finder = new MessageIdFinder();
  finder.push(chunk);
  assert.equal(finder.found, 'a@b.example');
  assert.deepEqual(
    decode.mock.calls.map(({ result }) => result),
    [header],
  );
});

test('a header without an end is not kept in memory', () => {
  const finder = new MessageIdFinder();
  for (let sent = 0; sent < 100; sent++) finder.push(Buffer.from(`X-Long: ${'x'.repeat(4_000)}\r\n`));
  finder.push(Buffer.from('Message-ID: <a@b.example>\r\n'));
  assert.equal(finder.found, undefined);
});
