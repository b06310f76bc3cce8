import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_COUNTED } from '#relay/history/entry.ts';
import { describeFoundWide, describeMore, WIDE_FOUND_HEAD } from './findtext.ts';

const recipient = { address: 'joe@new.example', state: 'delivered', answers: [] } as const;
const entry = { id: 'id1', from: 'srs@relay.example', received: 'now', bytes: 1, recipients: [recipient] };
const columns = (line: string) => {
  const names = WIDE_FOUND_HEAD.trimEnd().split('\t');
  const values = line.trimEnd().split('\t');
  assert.equal(values.length, names.length);
  return Object.fromEntries(names.map((name, index) => [name, values[index]]));
};

test('the wide form names the addresses that the client gave, where rewriting has changed them', () => {
  const rewritten = {
    ...entry,
    originalFrom: ['joe@client.example', ''],
    recipients: [{ ...recipient, originalTo: ['joe@old.example', 'jo\te@old.example'] }],
  };
  const found = columns(describeFoundWide(rewritten));
  assert.equal(found['SENDER'], '<srs@relay.example>');
  assert.equal(found['ORIGINAL-SENDER'], '<joe@client.example>,<>');
  assert.equal(found['RECIPIENT'], 'joe@new.example');
  assert.equal(found['ORIGINAL-RECIPIENT'], 'joe@old.example,jo?e@old.example');
});

test('the wide form has a dash where an address is as the client gave it', () => {
  const found = columns(describeFoundWide(entry));
  assert.deepEqual([found['ORIGINAL-SENDER'], found['ORIGINAL-RECIPIENT']], ['-', '-']);
});

test('what a list leaves out is counted, as far as the relay counts', () => {
  assert.match(describeMore(107, 100), /^\.\.\. and 7 more: add --most NUMBER, or what narrows it down\n$/);
  // Mail that was forgotten meanwhile.
  assert.match(describeMore(99, 100), /^\.\.\. and 1 more:/);
  assert.match(describeMore(MOST_COUNTED, 100), new RegExp(`^\\.\\.\\. and ${MOST_COUNTED - 100} more:`));
  assert.match(
    describeMore(MOST_COUNTED + 1, 100),
    new RegExp(`^... and more than ${MOST_COUNTED - 100} more:`),
  );
});
