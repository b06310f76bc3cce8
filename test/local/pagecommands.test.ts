/** The commands of the documentation that need no cluster, in a network alone: the server of the pages is a relay in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tellInNetwork } from '#test/delivery/network.ts';

const HOSTS = fileURLToPath(new URL('pagecommands.hosts', import.meta.url));

test('the commands of the pages', async () => {
  const told = await tellInNetwork(new URL('pagecommands.story.ts', import.meta.url), {
    commands: `mount --bind "${HOSTS}" /etc/hosts`,
  });
  assert.match(told, /^ℹ pass 2$/m, told);
});
