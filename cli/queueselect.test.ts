import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueEntry } from '#relay/queue/tools.ts';
import { readSelection, type Wish } from './queueselect.ts';
import { UsageError } from './usage.ts';

const entry = (from: string, to = 'joe@example.com') =>
  ({ from, state: 'queued', recipients: [{ address: to }] }) as unknown as QueueEntry;

function matches(wish: Wish, one: QueueEntry): boolean {
  const selection = readSelection([], wish);
  return selection.kind === 'filter' && selection.matches(one, 0);
}

test('a filter reads addresses and domains as the relay does', () => {
  assert.ok(matches({ sender: 'Joe@EXAMPLE.com' }, entry('joe@example.com')));
  assert.ok(matches({ sender: '*.example.com' }, entry('joe@a.example.com')));
  assert.ok(!matches({ sender: '*.example.com' }, entry('joe@example.com')));
  assert.ok(matches({ sender: '<>' }, entry('')));
  assert.ok(!matches({ sender: 'example.com' }, entry('')));
  for (const domain of ['b\u00fccher.example', 'xn--bcher-kva.example', '*.EXAMPLE'])
    assert.ok(matches({ domain }, entry('', 'joe@xn--bcher-kva.example')), domain);
});

test('a filter that can match nothing is refused', () => {
  for (const wish of [{ sender: '*@example.com' }, { sender: 'joe@' }, { sender: '' }, { sender: 'a b' }])
    assert.throws(() => readSelection([], wish), UsageError, wish.sender);
  for (const domain of ['joe@example.com', '<>', '', '*', '*.'])
    assert.throws(() => readSelection([], { domain }), UsageError, domain);
});
