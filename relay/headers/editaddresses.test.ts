import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editAddresses } from './editaddresses.ts';

const NAMES = new Set(['from', 'to']);
const edited = (text: string) =>
  Buffer.from(
    editAddresses(
      {
        name: (text.split(':')[0] ?? '').trim().toLowerCase(),
        text: Buffer.from(text).toString('latin1'),
      },
      NAMES,
      (address) => (/@(?:x\.|xn--)|^ü|@bü/.test(address) ? 'né@y.example' : undefined),
    ),
    'latin1',
  ).toString();

test('only the address changes: names, comments, folds and other addresses stay', () => {
  assert.equal(
    edited('From: "a@x.example, or so" <a@x.example> (a@x.example),\r\n b@z.example\r\n'),
    'From: "a@x.example, or so" <né@y.example> (a@x.example),\r\n b@z.example\r\n',
  );
  assert.equal(edited('To:a@x.example , "a b"@x.example\r\n'), 'To:né@y.example , né@y.example\r\n');
  assert.equal(edited('To: <ü@z.example>, c@bücher.example\r\n'), 'To: <né@y.example>, né@y.example\r\n');
});

test('other fields stay, and so do fields that servers read differently', () => {
  for (const text of [
    'Cc: a@x.example\r\n',
    'To: friends: a@x.example;\r\n',
    'To: a@x.example b@x.example\r\n',
    'From: <@relay:a@x.example>\r\n',
    'From: a@x.example, <\r\n',
    'To: \r\n',
  ])
    assert.equal(edited(text), text);
});
