/** The first minute of a newcomer, in a network alone: the example has fixed ports. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from '#test/delivery/network.ts';

test('what the README says of "make run" is so', async () => {
  const told = await tellInNetwork(new URL('firstminute.story.ts', import.meta.url));
  assert.match(told, /^ℹ pass 3$/m, told);
});
