import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../testrig.ts';
import { ClientCounts } from './clientcounts.ts';
import { chooseMember } from './generation.ts';

const member = (name: string, connections: number, ready = true) => {
  const open = new ClientCounts();
  for (let index = 0; index < connections; index++) open.add('x');
  return { name, open, ready };
};
const limits = { messageBytes: 1, recipients: 1, connectionsPerClient: null, messagesPerClientPerMinute: 5 };

test('the least busy process that is ready gets the next connection', () => {
  const members = [member('a', 2), member('b', 1), member('c', 0, false)];
  assert.equal(chooseMember({ policy: policyOf(), members }, '192.0.2.1')?.name, 'b');
  assert.equal(
    chooseMember({ policy: policyOf(), members: [member('c', 0, false)] }, '192.0.2.1'),
    undefined,
  );
});

test('a client whose messages are counted always gets the same process, and clients are spread', () => {
  const policy = policyOf({ limits });
  const chosen = (busy: number) =>
    Array.from({ length: 64 }, (_, index) => {
      const members = [member('a', busy), member('b', 0)];
      return chooseMember({ policy, members }, `192.0.2.${index}`)?.name;
    });
  assert.deepEqual(chosen(0), chosen(100));
  assert.ok(chosen(0).filter((name) => name === 'a').length > 16);
  assert.ok(chosen(0).filter((name) => name === 'b').length > 16);
});
