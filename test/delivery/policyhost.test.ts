/** The policy host of MTA-STS in a network of its own: there port 443 belongs to the test (policyhost.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('the policy host of MTA-STS', async () => {
  const told = await tellInNetwork(new URL('policyhost.story.ts', import.meta.url));
  assert.match(told, /tests 5\b/);
});
