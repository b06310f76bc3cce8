/**
 * PROXY headers to real receivers: HAProxy, and Postfix behind it or alone. Postfix writes the address of the header
 * into the message.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { startHaproxy } from '#test/kit/haproxy.ts';
import { Hop } from '#test/kit/hop.ts';
import { startMicrosocks } from '#test/kit/microsocks.ts';
import { freePort } from '#test/kit/ports.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { ProxyFront } from '#test/kit/proxyfront.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from '../delivery/story.ts';

const skip = postfixProblem();
const ports = { postfix: 0, haproxy: 0, socks: 0, front: 0, hop: 0 };
let postfix: Postfix;
let front: ProxyFront;
let hop: Hop;
let relay: TestRelay;
const ends: (() => unknown)[] = [];

const hostAt = (port: number, version: string) =>
  `hosts: [{host: 127.0.0.1, port: ${port}, proxyProtocol: {version: ${version}}}]`;

const outbound = () => `
tls: {level: Encrypt, discover: []}
sourceAddresses: [127.0.0.7]
routes:
  - {senders: [socks.example], socksProxy: {host: 127.0.0.1, port: ${ports.socks}}, ${hostAt(ports.haproxy, 'V2')}}
  - {senders: [haproxy-v1.example], ${hostAt(ports.haproxy, 'V1')}}
  - {senders: [postfix-v1.example], ${hostAt(ports.postfix, 'V1')}}
  - {senders: [postfix-v2.example], ${hostAt(ports.postfix, 'V2')}}
  - {senders: [hop.example], tls: {level: None}, ${hostAt(ports.front, 'V1')}}
smartHosts: [{host: 127.0.0.1, port: ${ports.haproxy}, proxyProtocol: {version: V2}}]
`;

before(async () => {
  if (skip) return;
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  postfix = await Postfix.start({
    address: '127.0.0.1',
    port: ports.postfix,
    pair: await (await makeAuthority()).issue(['localhost']),
    isProxied: true,
  });
  ends.push(() => postfix.stop());
  const haproxy = await startHaproxy({ port: ports.haproxy, to: ports.postfix });
  ends.push(() => haproxy.stop());
  const socks = await startMicrosocks({ port: ports.socks, from: '127.0.0.9' });
  ends.push(() => socks.stop());
  hop = await Hop.start({ port: ports.hop });
  ends.push(() => hop.down());
  front = await ProxyFront.start({ port: ports.front, to: ports.hop });
  ends.push(() => front.stop());
  relay = await startRelay({ outbound: outbound() });
  ends.push(() => relay.remove());
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

/** The first Received field of the message, which Postfix wrote. */
async function receivedFrom(id: string, from: string): Promise<string> {
  await accepted(relay, { id, from: `a@${from}`, to: ['b@example.net'] });
  return /^Received: .*(?:\n\s.*)*/m.exec(await postfix.message(id))?.[0] ?? '';
}

for (const sender of ['haproxy-v1', 'haproxy-v2', 'postfix-v1', 'postfix-v2']) {
  test(`${sender}: the receiver takes the header, and TLS begins behind it`, { skip }, async () => {
    const received = await receivedFrom(sender, `${sender}.example`);
    assert.match(received, /from relay\.example\.com \(unknown \[127\.0\.0\.7\]\)/);
    assert.match(received, /using TLSv1\.3/);
  });
}

test('through a SOCKS proxy the header has the address of the relay, not that of the proxy', {
  skip,
}, async () => {
  const received = await receivedFrom('socks', 'socks.example');
  assert.match(received, /from relay\.example\.com \(unknown \[127\.0\.0\.1\]\)/);
});

test('the header has the ends of its connection', { skip }, async () => {
  for (const id of ['hop-1', 'hop-2']) {
    await accepted(relay, { id, from: 'a@hop.example', to: ['b@example.net'] });
    await until(id, () => hop.ids().includes(id));
  }
  assert.notEqual(front.connections.length, 0);
  for (const { header, port } of front.connections)
    assert.equal(header.toString(), `PROXY TCP4 127.0.0.7 127.0.0.1 ${port} ${ports.front}\r\n`);
});

test('explain tells the header, and connects with it', { skip }, async () => {
  const file = join(relay.dir, 'relay.yaml');
  const { stdout, status } = await mailrelay(['explain', 'b@example.net', '-f', file, '--connect']);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /; from 127\.0\.0\.7; begins with a PROXY header, V2$/m);
  assert.match(stdout, /^ {2}connected +127\.0\.0\.1: TLSv1\.3/m);
});
