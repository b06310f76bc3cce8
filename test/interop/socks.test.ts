/** Mail through a real SOCKS5 proxy: TLS to the host as without it, the login of the proxy, and nothing past the proxy. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import type { Foreground } from '#test/kit/foreground.ts';
import { Hop } from '#test/kit/hop.ts';
import { startMicrosocks } from '#test/kit/microsocks.ts';
import { freePort } from '#test/kit/ports.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, objectOf, startRelay } from '../delivery/story.ts';

const PROXY = '127.0.0.9';
const PASSWORD = 'canary-right-5c1e';
const WRONG = 'canary-wrong-5c1e';
const ports = { hop: 0, implicit: 0, guarded: 0, open: 0, closed: 0 };
let hop: Hop;
let implicit: Hop;
let relay: TestRelay;
let authority = '';
const proxies: Foreground[] = [];

function sections(password: string) {
  const host = `hosts: [{host: localhost, port: ${ports.hop}, ipFamily: IPv4, tls: {level: Verify}}]`;
  return {
    outbound: `
tls: {level: None, discover: [], trustConfigMapName: roots}
socksProxy: {host: 127.0.0.1, port: ${ports.guarded}, credentialsSecretName: socks}
smartHosts: [{host: localhost, port: ${ports.hop}, ipFamily: IPv4, tls: {level: Verify}}]
routes:
  - {senders: [direct.example], ${host}}
  - {senders: [open.example], socksProxy: {host: localhost, port: ${ports.open}}, hosts: [{host: localhost, port: ${ports.implicit}, ipFamily: IPv4, implicitTLS: true, tls: {level: Verify}}]}
  - {senders: [closed.example], socksProxy: {host: 127.0.0.1, port: ${ports.closed}}, ${host}}
  - {senders: [nobody.example], socksProxy: {host: 127.0.0.1, port: ${ports.open}}, hosts: [{host: 127.0.0.1, port: ${ports.closed}}]}
`,
    documents: [
      objectOf('ConfigMap', 'roots', { 'ca.crt': authority }),
      objectOf('Secret', 'socks', { username: 'relay', password }),
    ].join(''),
  };
}

before(async () => {
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const made = await makeAuthority();
  authority = made.cert;
  const pair = await made.issue(['localhost']);
  hop = await Hop.start({ port: ports.hop, pair });
  implicit = await Hop.start({ port: ports.implicit, pair, implicitTls: true });
  const login = { user: 'relay', password: PASSWORD };
  proxies.push(await startMicrosocks({ port: ports.guarded, from: PROXY, login }));
  proxies.push(await startMicrosocks({ port: ports.open, from: PROXY }));
  relay = await startRelay(sections(WRONG));
});

after(async () => {
  await relay?.remove();
  for (const server of [hop, implicit]) await server?.down();
  for (const proxy of proxies) await proxy.stop();
});

const takenAt = (at: Hop, id: string) =>
  until(`${id} at the hop`, () => at.taken.find(({ text }) => text.includes(`X-Test-Id: ${id}`)));

test('a route without a proxy goes straight, one with a proxy comes from it, and TLS is verified at the host', async () => {
  await accepted(relay, { id: 'direct', from: 'a@direct.example', to: ['b@example.net'] });
  assert.equal((await takenAt(hop, 'direct')).remote, '127.0.0.1');
  const sendOpen = async () => {
    const id = `open-${implicit.taken.length}`;
    await accepted(relay, { id, from: 'a@open.example', to: ['b@example.net'] });
    await takenAt(implicit, id);
    // The router keeps the connection for the next message before it takes this one off its list.
    await until('an empty queue', async () => (await listQueue(relay)).length === 0);
    return implicit.sessions < implicit.taken.length;
  };
  // It is kept for twenty seconds, in which a busy machine may bring no other message.
  await until('a tunnel that is used again', sendOpen, 240_000);
  for (const taken of implicit.taken)
    assert.deepEqual([taken.remote, taken.servername], [PROXY, 'localhost']);
});

test('a wrong login of the proxy makes mail wait, and the right one lets it go at once', async () => {
  await accepted(relay, { id: 'guarded', from: 'a@client.example', to: ['b@example.net'] });
  // A refused login is told apart from other deferrals.
  await until('the refusal', async () =>
    JSON.stringify(await relay.status()).includes('refuses our login: check socksProxy'),
  );
  relay.edit(manifestOf(relay.ports[0], sections(PASSWORD)));
  const taken = await takenAt(hop, 'guarded');
  assert.equal(taken.remote, PROXY);
  assert.match(taken.tls ?? '', /^TLSv1/);
  const told = [relay.stdout, relay.stderr, JSON.stringify(await relay.status()), taken.text].join();
  for (const password of [WRONG, PASSWORD]) assert.equal(told.includes(password), false);
});

test('a proxy that cannot be had, or cannot reach the host, makes mail wait: nothing goes past it', async () => {
  await accepted(relay, { id: 'closed', from: 'a@closed.example', to: ['b@example.net'] });
  await accepted(relay, { id: 'nobody', from: 'a@nobody.example', to: ['b@example.net'] });
  await relay.waitForReason(/the SOCKS proxy 127\.0\.0\.1:\d+ makes no connection \(.*ECONNREFUSED/);
  await relay.waitForReason(
    /the SOCKS proxy 127\.0\.0\.1:\d+ makes no connection \(Socks5 proxy rejected connection/,
  );
  assert.equal((await listQueue(relay)).length, 2);
  assert.equal(hop.ids().includes('closed'), false);
});
