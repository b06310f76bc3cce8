/** DANE and MTA-STS for the same destinations, in a network of its own (ladder.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchNameServers } from '#test/kit/dnstree.ts';
import { tellInNetwork } from './network.ts';

test('DANE and MTA-STS together', async () => {
  // There is no way out of the network of the story.
  fetchNameServers();
  const resolvConf = new URL('dane.resolv.conf', import.meta.url).pathname;
  const told = await tellInNetwork(new URL('ladder.story.ts', import.meta.url), {
    commands: `mount --bind "${resolvConf}" /etc/resolv.conf`,
  });
  assert.match(told, /tests 2\b/);
});
