/** TLS reports of others, in a network of their own: there DNS and port 25 belong to the test (tlsrptinbox.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('TLS reports of others', async () => {
  const told = await tellInNetwork(new URL('tlsrptinbox.story.ts', import.meta.url));
  assert.match(told, /tests 8\b/);
});
