/** Source addresses by route: mail comes from the address of its route, and waits where the machine does not have it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, startRelay } from './story.ts';

let hop: Hop;
let relay: TestRelay;
let hopPort = 0;

const outbound = (own: string) => `
tls: {level: None, discover: []}
sourceAddresses: [127.0.0.2]
smartHosts: [{host: 127.0.0.1, port: ${hopPort}}]
routes:
  - {senders: [news.example], sourceAddresses: [127.0.0.3], hosts: [{host: 127.0.0.1, port: ${hopPort}}]}
  - {senders: [own.example], sourceAddresses: [${own}], hosts: [{host: 127.0.0.1, port: ${hopPort}}]}
`;

before(async () => {
  hopPort = await freePort();
  hop = await Hop.start({ port: hopPort });
  relay = await startRelay({ outbound: outbound('192.0.2.99') });
});

after(async () => {
  await relay?.remove();
  await hop?.down();
});

const remoteOf = (id: string) =>
  until(`${id} at the hop`, () => hop.taken.find(({ text }) => text.includes(`X-Test-Id: ${id}`))?.remote);

test('each route sends from its own address, and the rest from that of outbound', async () => {
  await accepted(relay, { id: 'rest', from: 'a@client.example', to: ['b@example.net'] });
  await accepted(relay, { id: 'news', from: 'a@news.example', to: ['b@example.net'] });
  assert.equal(await remoteOf('rest'), '127.0.0.2');
  assert.equal(await remoteOf('news'), '127.0.0.3');
});

test('mail waits while the machine does not have the address, and goes when the route has one of ours', async () => {
  await accepted(relay, { id: 'own', from: 'a@own.example', to: ['b@example.net'] });
  await relay.waitForReason(/192\.0\.2\.99: give this address to the pod, or correct sourceAddresses/);
  assert.equal(hop.ids().includes('own'), false);
  relay.edit(manifestOf(relay.ports[0], { outbound: outbound('127.0.0.4') }));
  assert.equal(await remoteOf('own'), '127.0.0.4');
});
