/** The PROXY protocol, versions 1 and 2: who the client is decides, and only trusted proxies say it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText, type SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

const PROXY = '127.0.0.50';
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

let rig: Rig;

before(async () => {
  const proxyProtocol = { networks: [`${PROXY}/31`] };
  rig = await Rig.start({
    listeners: { smtp: { proxyProtocol }, submissions: { proxyProtocol, implicitTLS: true } },
    inbound: {
      clients: { networks: ['192.0.2.0/24', '2001:db8::/32'] },
      clientPolicies: [{ networks: ['198.51.100.0/24'], starttls: 'Required' }],
      limits: { connectionsPerClient: 2 },
    },
  });
});

after(() => rig?.end());

function version2(command: 0 | 1, family: number, body: Buffer): Buffer {
  const fixed = Buffer.from([0x20 | command, family, body.length >> 8, body.length & 255]);
  return Buffer.concat([SIGNATURE, fixed, body]);
}

const IPV6_BODY = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('300005dc', 'hex'),
]);

async function behind(header: string | Buffer, listener = 'smtp'): Promise<SmtpClient> {
  const client = await rig.connect(listener, PROXY);
  client.write(header);
  return client;
}

async function recipientReply(client: SmtpClient): Promise<string> {
  await client.command('MAIL FROM:<a@x.example>');
  return client.command('RCPT TO:<b@y.example>');
}

test('the client is whom the proxy names: it relays as that one, and is named so in Received', async () => {
  const headers = {
    v1: 'PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n',
    v1six: 'PROXY TCP6 2001:DB8:0::7 2001:db8::1 40000 25\r\n',
    v2six: version2(1, 0x21, IPV6_BODY),
    v2extended: version2(1, 0x21, Buffer.concat([IPV6_BODY, Buffer.from('04000100', 'hex')])),
  };
  const expected = {
    v1: '192.0.2.7',
    v1six: 'IPv6:2001:db8::7',
    v2six: 'IPv6:2001:db8::7',
    v2extended: 'IPv6:2001:db8::7',
  };
  for (const [id, header] of Object.entries(headers)) {
    const client = await behind(header);
    await client.hello();
    assert.match(await client.send('a@x.example', ['b@y.example'], messageText(id)), /^250/, id);
    const { text } = await rig.arrived(id);
    assert.ok(text.includes(`([${expected[id as keyof typeof expected]}])`), text);
    await client.quit();
  }
});

test('a header that comes byte by byte is read, and TLS behind it in one piece too', async () => {
  const client = await rig.connect('smtp', PROXY);
  for (const byte of 'PROXY TCP4 192.0.2.8 192.0.2.1 40000 25\r\n') client.write(byte);
  await client.hello();
  assert.match(await recipientReply(client), /^250/);
  const secure = await behind('PROXY TCP4 192.0.2.9 192.0.2.1 40000 465\r\n', 'submissions');
  await secure.startTls({});
  await secure.hello();
  assert.match(await recipientReply(secure), /^250/);
});

test('client policies and limits are those of the client, not of the proxy', async () => {
  const header = 'PROXY TCP4 198.51.100.7 192.0.2.1 40000 25\r\n';
  const partner = await behind(header);
  await partner.hello();
  assert.match(await partner.command('MAIL FROM:<a@x.example>'), /^530/);
  const second = await behind(header);
  await second.hello();
  assert.match(await (await behind(header)).reply(), /^421 4\.7\.0 Too many connections/);
  const other = await behind('PROXY TCP4 198.51.100.8 192.0.2.1 40000 25\r\n');
  assert.match(await other.reply(), /^220/);
});

test('of IPv6 a /64 is one client, but whoever is trusted by network is an address', async () => {
  const greeted = async (network: string, host: number) => {
    const address = Buffer.from(`${network}000000000000000${host}`, 'hex');
    return (await behind(version2(1, 0x21, Buffer.concat([address, IPV6_BODY.subarray(16)])))).reply();
  };
  const [stranger, neighbour, trusted] = ['20010db900000001', '20010db900000002', '20010db800000001'];
  for (const host of [1, 2]) assert.match(await greeted(stranger, host), /^220/);
  assert.match(await greeted(stranger, 3), /^421 4\.7\.0 Too many connections/);
  assert.match(await greeted(neighbour, 3), /^220/);
  for (const host of [1, 2, 3]) assert.match(await greeted(trusted, host), /^220/);
});

test('a proxy that speaks for itself is the client', async () => {
  for (const header of ['PROXY UNKNOWN\r\n', version2(0, 0, Buffer.alloc(0))]) {
    const client = await behind(header);
    await client.hello();
    assert.match(await recipientReply(client), /^550/);
    await client.quit();
  }
});

test('a client that is no trusted proxy cannot name another', async () => {
  const client = await rig.connect('smtp', '127.0.0.60');
  client.write('PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n');
  assert.match(await client.reply(), /^421/);
  await until('the session to end', () => client.ended);
});

test('garbage, and silence, end the connection; the log names the cure', async () => {
  const silent = await rig.connect('smtp', '127.0.0.51');
  for (const header of [
    'EHLO client.example\r\n',
    'PROXY TCP4 192.0.2.7\r\n',
    version2(1, 0x11, Buffer.alloc(3)),
  ]) {
    const client = await behind(header);
    await until('the connection to end', () => client.ended);
    assert.equal(client.unread, '');
  }
  const cure =
    'turn the PROXY protocol on at the load balancer, or take its network out of proxyProtocol.networks';
  await rig.logged({ event: 'proxy_header_missing', proxy: PROXY, cure });
  await until('the silent one to be ended', () => silent.ended);
  await rig.logged({
    event: 'proxy_header_missing',
    proxy: '127.0.0.51',
    reason: 'no PROXY header within 5 s',
    cure,
  });
  await rig.metric('mailrelay_refusals_total{reason="proxy_header"} 4');
});
