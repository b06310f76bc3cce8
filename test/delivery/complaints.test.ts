/** Complaints of others, in a network of their own: there DNS and port 25 belong to the test (complaints.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('complaints of others', async () => {
  const told = await tellInNetwork(new URL('complaints.story.ts', import.meta.url));
  assert.match(told, /tests 6\b/);
});
