/** REQUIRETLS (RFC 8689) towards MX hosts, in a network of its own (requiretlsmx.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('REQUIRETLS towards MX hosts', async () => {
  const told = await tellInNetwork(new URL('requiretlsmx.story.ts', import.meta.url));
  assert.match(told, /tests 1\b/);
});
