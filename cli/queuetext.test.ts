import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueEntry } from '#relay/queue/tools.ts';
import { readSelection } from './queueselect.ts';
import { describeDone, describeEntry, describeSummary } from './queuetext.ts';
import { age } from './terminal.ts';
import { UsageError } from './usage.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const entry: QueueEntry = {
  id: '1k8abh09c7upnelu',
  from: 'a@client.example',
  received: '2026-11-25T11:00:00Z',
  bytes: 2_200,
  state: 'queued',
  recipients: [
    {
      address: 'b@example.com',
      destination: 'mx.example.com:25',
      nextAttempt: '2026-11-25T12:00:28Z',
      reason: '450 busy',
    },
    { address: 'c@example.org', destination: 'example.org' },
  ],
};

test('describeEntry tells a message in a few lines', () => {
  assert.equal(
    describeEntry(entry, NOW),
    `1k8abh09c7upnelu  queued    60m   2.1Ki  <a@client.example>
      to b@example.com by mx.example.com:25, again in 28s
         450 busy
      to c@example.org by example.org, on its way
`,
  );
  const untold = { address: 'b@example.com', destination: 'mx', nextAttempt: '2026-11-25T12:00:28Z' };
  assert.match(
    describeEntry({ ...entry, recipients: [untold] }, NOW),
    /again in 28s\n {9}not tried yet, or not since a restart: the log has the last answer\n$/,
  );
  assert.match(describeEntry({ ...entry, recipients: [untold] }, NOW + 60_000), /due now\n$/);
  const held = describeEntry({ ...entry, state: 'held' }, NOW);
  assert.ok(!held.includes('again in') && !held.includes('on its way'), held);
});

test('what a client or a next hop said cannot steer the terminal', () => {
  const evil = { address: 'b\u009b2J@example.com', destination: 'mx', reason: '550 \x1b]0;x\x07\r\nhidden' };
  const text = describeEntry({ ...entry, from: '\x1b[31m@client.example', recipients: [evil] }, NOW);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  assert.ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(text), JSON.stringify(text));
  assert.equal(text.split('\n').length, 4);
});

test('describeDone names what was not done', () => {
  assert.equal(describeDone('hold', { id: 'x', result: 'done' }), 'x held back\n');
  assert.match(describeDone('retry', { id: 'x', result: 'held' }), /^x is held: release it first\n$/);
});

test('where nothing can be done, messages may be there all the same, and the summary says what for there is none', () => {
  assert.equal(describeSummary('hold', []), 'There is no such message to hold back.\n');
  assert.equal(describeSummary('release', []), 'There is no such message to release.\n');
});

test('ages are told in the largest unit that says enough', () => {
  const told = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map((seconds) => age(NOW, NOW + seconds * 1000));
  assert.deepEqual(told, ['0s', '119s', '2m', '120m', '2h', '48h', '2d']);
});

test('a selection is ids, a filter, or nothing that was said', () => {
  const nothing = { all: false, held: false };
  const matches = (wish: object, one: QueueEntry = entry) => {
    const selection = readSelection([], { ...nothing, ...wish });
    assert.ok(selection.kind === 'filter');
    return selection.matches(one, NOW);
  };
  assert.equal(readSelection([], nothing).kind, 'any');
  assert.deepEqual(readSelection(['x', 'y', 'x'], nothing), { kind: 'ids', ids: ['x', 'y'] });
  assert.throws(() => readSelection(['x'], { ...nothing, all: true }), UsageError);
  assert.equal(matches({ all: true }), true);
  assert.equal(matches({ held: true }), false);
  assert.equal(matches({ held: true }, { ...entry, state: 'damaged' }), true);
  assert.equal(matches({ sender: 'client.example', domain: 'example.org' }), true);
  assert.equal(matches({ sender: 'client.example', domain: 'example.net' }), false);
  assert.equal(matches({ sender: '<>' }), false);
  assert.equal(matches({ sender: '<>' }, { ...entry, from: '' }), true);
  assert.equal(matches({ sender: '<>' }, { ...entry, from: '', state: 'damaged' }), false);
  assert.equal(matches({ older: 59 * 60 }), true);
  assert.equal(matches({ older: 61 * 60 }), false);
});
