/** Delivery by MX, in a network of its own: there port 25, port 53 and the resolver belong to the test (mx.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('delivery by MX', async () => {
  const told = await tellInNetwork(new URL('mx.story.ts', import.meta.url), {
    commands: 'ip -6 addr add 2001:db8::1/128 dev lo',
  });
  assert.match(told, /tests 10\b/);
});
