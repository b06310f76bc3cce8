/** `mailrelay explain --connect` in a network of its own: there DNS, MX hosts and policy hosts belong to the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('explain follows an address to its hosts', async () => {
  const told = await tellInNetwork(new URL('explain.story.ts', import.meta.url));
  assert.match(told, /tests 9\b/);
});
