/** A changed /etc/resolv.conf, in a network of its own with a file of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellInNetwork } from './network.ts';

test('a changed /etc/resolv.conf is seen while the relay runs', async () => {
  const told = await tellInNetwork(new URL('resolvconf.story.ts', import.meta.url), {
    // A file in memory: it goes with the network.
    commands: `
mount -t tmpfs none /mnt
echo "nameserver 192.0.2.7" > /mnt/resolv.conf
mount --bind /mnt/resolv.conf /etc/resolv.conf`,
  });
  assert.match(told, /tests 1\b/);
});
