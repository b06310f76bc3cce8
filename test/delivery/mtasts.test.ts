/** MTA-STS in a network of its own: there DNS, port 443 and port 25 belong to the test (mtasts.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('MTA-STS', async () => {
  const told = await tellInNetwork(new URL('mtasts.story.ts', import.meta.url));
  assert.match(told, /tests 12\b/);
});
