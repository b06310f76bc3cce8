/** The story of resolvconf.test.ts: the name servers of the machine change while the relay runs. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from './story.ts';

const servers: NameServer[] = [];
const hops: Hop[] = [];
let relay: TestRelay;

const use = (host: string) =>
  writeFileSync('/etc/resolv.conf', `nameserver ${host}\noptions timeout:5 attempts:2\n`);

before(async () => {
  for (const [server, mx] of [
    ['192.0.2.7', '192.0.2.1'],
    ['192.0.2.8', '192.0.2.2'],
  ] as const) {
    const names = {
      'moved.example': { MX: [[10, 'mx.moved.example']] },
      'mx.moved.example': { A: [mx] },
    } as const;
    servers.push(await NameServer.start(names, 53, server));
    hops.push(await Hop.start({ port: 25, host: mx }));
  }
  use('192.0.2.7');
  relay = await startRelay({ outbound: 'tls: {level: None, discover: []}' });
});

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  for (const server of servers) server.stop();
});

test('mail goes by the new name server, without a restart', async () => {
  const [before, now] = hops;
  await accepted(relay, { id: 'before', to: ['a@moved.example'] });
  await until('mail by the first server', () => before?.ids().includes('before'));
  const router = relay.findTask('router/main.ts');
  use('192.0.2.8');
  let sent = 0;
  await until('mail by the second server', async () => {
    await accepted(relay, { id: `now${sent++}`, to: ['a@moved.example'] });
    return (now?.taken.length ?? 0) > 0;
  });
  await until('all of it', () => (before?.taken.length ?? 0) + (now?.taken.length ?? 0) === sent + 1);
  assert.equal(relay.findTask('router/main.ts'), router);
});
