/** TLS reports in a network of their own: there DNS, port 443 and port 25 belong to the test (tlsrpt.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('TLS reports', async () => {
  const told = await tellInNetwork(new URL('tlsrpt.story.ts', import.meta.url));
  assert.match(told, /tests 9\b/);
});
