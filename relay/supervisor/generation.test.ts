import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientCounts } from './clientcounts.ts';
import { chooseMember } from './generation.ts';

const member = (name: string, connections: number, ready = true) => {
  const open = new ClientCounts();
  for (let index = 0; index < connections; index++) open.add('x');
  return { name, open, ready };
};
test('the least busy process that is ready gets the next connection', () => {
  const members = [member('a', 2), member('b', 1), member('c', 0, false)];
  assert.equal(chooseMember({ members })?.name, 'b');
  assert.equal(chooseMember({ members: [member('c', 0, false)] }), undefined);
});
