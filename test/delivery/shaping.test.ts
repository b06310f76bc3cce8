/** Shaping by provider, in a network of its own: there port 25, port 53 and the resolver belong to the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('shaping by provider', async () => {
  const told = await tellInNetwork(new URL('shaping.story.ts', import.meta.url));
  assert.match(told, /tests 5\b/);
});
