/** All HTTP clients of the relay before servers of every ill will, in a network of their own (httpclients.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('HTTP clients', async () => {
  const told = await tellInNetwork(new URL('httpclients.story.ts', import.meta.url));
  assert.match(told, /tests 28\b/);
});
