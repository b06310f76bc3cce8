/** DANE on a signed tree of its own, beside a Postfix that judges (dane.story.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchNameServers } from '#test/kit/dnstree.ts';
import { postfixProblem } from '#test/kit/postfix.ts';
import { tellInNetwork } from './network.ts';

test('DANE, as Postfix has it', { skip: postfixProblem() ?? false }, async () => {
  // There is no way out of the network of the story.
  fetchNameServers();
  const resolvConf = new URL('dane.resolv.conf', import.meta.url).pathname;
  const told = await tellInNetwork(new URL('dane.story.ts', import.meta.url), {
    commands: `for last in 10 11 12 13 14 15; do ip addr add 192.0.2.$last/32 dev lo; done
mount --bind "${resolvConf}" /etc/resolv.conf`,
  });
  assert.match(told, /tests 7\b/);
});
