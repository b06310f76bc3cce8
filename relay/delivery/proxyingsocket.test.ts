/** Connections to next hops that expect a PROXY header, and what becomes of mail where the hop does not expect it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Hop as HopOfPolicy } from '#crds/policyfile.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { Hop, type HopOptions } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { freePort } from '#test/kit/ports.ts';
import { ProxyFront } from '#test/kit/proxyfront.ts';
import { HOSTNAME, hopTo, makeParcel } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';

const PARCEL = makeParcel('Subject: x\r\n\r\nx\r\n', { from: `me@${HOSTNAME}` });
const VERSIONS = ['V1', 'V2'] as const;

/** Sends the message so many times over one client. */
async function send(hop: HopOfPolicy, times = 1): Promise<HopResult[]> {
  const client = clientWith();
  const budget = new AttemptBudget();
  const results: HopResult[] = [];
  try {
    const way = wayTo(hop);
    while (results.length < times)
      results.push(
        (await client.resume(way, PARCEL, budget)) ?? (await client.deliver(way, hop.host, PARCEL, budget)),
      );
  } finally {
    budget.close();
    client.close();
  }
  return results;
}

/** A hop behind a server that wants a header. */
async function startFronted(t: TestContext, options: Omit<HopOptions, 'port'> = {}, host = '127.0.0.1') {
  const to = await freePort();
  const hop = await Hop.start({ port: to, ...options });
  t.after(() => hop.down());
  const port = await freePort();
  const front = await ProxyFront.start({ host, port, to });
  t.after(() => front.stop());
  return { hop, front, port };
}

/** The header that belongs to a connection of the front, written by hand. */
function expected(version: (typeof VERSIONS)[number], address: string, source: number, port: number): Buffer {
  if (version === 'V1') return Buffer.from(`PROXY TCP4 ${address} 127.0.0.1 ${source} ${port}\r\n`);
  const body = Buffer.from([...address.split('.').map(Number), 127, 0, 0, 1, 0, 0, 0, 0]);
  body.writeUInt16BE(source, 8);
  body.writeUInt16BE(port, 10);
  return Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'), body]);
}

for (const proxyProtocol of VERSIONS) {
  for (const security of ['plain text', 'STARTTLS', 'TLS from the first byte']) {
    test(`${proxyProtocol}, ${security}: the header comes first, once for each connection`, async (t) => {
      const isSecure = security !== 'plain text';
      const implicitTLS = security === 'TLS from the first byte';
      const pair = isSecure ? await (await makeAuthority()).issue(['localhost']) : undefined;
      const { hop, front, port } = await startFronted(t, { pair, implicitTls: implicitTLS });
      const way = hopTo(port, { proxyProtocol, implicitTLS, tlsLevel: isSecure ? 'Encrypt' : 'None' });
      for (const result of await send(way, 2)) assert.equal(result.kind, 'answered');
      assert.equal(hop.taken.length, 2);
      assert.equal(
        hop.taken.every(({ tls }) => (tls !== undefined) === isSecure),
        true,
      );
      assert.equal(front.connections.length, 1);
      for (const { header, address, port: source } of front.connections)
        assert.deepEqual(header, expected(proxyProtocol, address, source, port));
    });
  }

  test(`${proxyProtocol}: the header has the source address of the hop`, async (t) => {
    const { front, port } = await startFronted(t);
    await send(hopTo(port, { proxyProtocol, sourceAddresses: ['127.0.0.5'] }));
    const [{ header, address, port: source } = assert.fail('no connection')] = front.connections;
    assert.equal(address, '127.0.0.5');
    assert.deepEqual(header, expected(proxyProtocol, '127.0.0.5', source, port));
  });
}

test('over IPv6 the header has the addresses of IPv6', async (t) => {
  const { hop, front, port } = await startFronted(t, {}, '::1');
  await send(hopTo(port, { host: '::1', proxyProtocol: 'V1' }));
  assert.equal(hop.taken.length, 1);
  const [{ header, port: source } = assert.fail('no connection')] = front.connections;
  assert.equal(header.toString(), `PROXY TCP6 ::1 ::1 ${source} ${port}\r\n`);
});

test('a hop that refuses a second EHLO gets HELO: under TLS no reply is one behind', async (t) => {
  const pair = await (await makeAuthority()).issue(['localhost']);
  const { hop, port } = await startFronted(t, {
    pair,
    answer: ({ step, secure }) => (step === 'EHLO' && secure ? '503 5.5.1 duplicate EHLO' : undefined),
  });
  for (const proxyProtocol of VERSIONS) await send(hopTo(port, { proxyProtocol, tlsLevel: 'Encrypt' }));
  assert.deepEqual([hop.taken.length, hop.lines('HELO').length], [2, 2]);
});

/** The failure, where no hop answered. */
async function fail(hop: HopOfPolicy) {
  const [result] = await send(hop);
  assert.equal(result?.kind, 'unreachable');
  return result.failure;
}

test('a hop that does not expect a header takes no message, and the failure names the cure', async (t) => {
  const cases = VERSIONS.flatMap((proxyProtocol) =>
    (['SMTP', 'LMTP'] as const).map((protocol) => ({ proxyProtocol, protocol })),
  );
  for (const { proxyProtocol, protocol } of cases) {
    const port = await freePort();
    const hop = await Hop.start({ port, lmtp: protocol === 'LMTP' });
    t.after(() => hop.down());
    const { text, permanent } = await fail(hopTo(port, { proxyProtocol, protocol, tlsLevel: 'None' }));
    assert.match(text, new RegExp(`PROXY header \\(${proxyProtocol}\\).* remove its proxyProtocol$`));
    assert.equal(permanent, false);
    assert.deepEqual([hop.lines('MAIL'), hop.lines('DATA'), hop.taken], [[], [], []]);
  }
});

test('a hop with TLS from the first byte that does not expect a header takes no message either', async (t) => {
  const pair = await (await makeAuthority()).issue(['localhost']);
  for (const proxyProtocol of VERSIONS) {
    const port = await freePort();
    const hop = await Hop.start({ port, pair, implicitTls: true });
    t.after(() => hop.down());
    const { cause, text } = await fail(
      hopTo(port, { proxyProtocol, implicitTLS: true, tlsLevel: 'Encrypt' }),
    );
    assert.equal(cause, 'handshake');
    assert.match(text, /PROXY header \(V[12]\): if the host expects none, remove its proxyProtocol/);
    assert.deepEqual(hop.said, []);
  }
});

test('a certificate that is not trusted is told without a word about the header', async (t) => {
  const pair = await (await makeAuthority()).issue(['localhost']);
  const { port } = await startFronted(t, { pair, implicitTls: true });
  const { cause, text } = await fail(
    hopTo(port, { proxyProtocol: 'V2', implicitTLS: true, tlsLevel: 'Verify', serverName: 'localhost' }),
  );
  assert.equal(cause, 'certificate-untrusted');
  assert.doesNotMatch(text, /PROXY/);
});

test('a hop that ends the connection before its greeting is told with the header, and a refused one as before', async (t) => {
  const port = await freePort();
  const hop = await Hop.start({ port, answer: ({ step }) => (step === 'greeting' ? 'drop' : undefined) });
  t.after(() => hop.down());
  const { cause, text } = await fail(hopTo(port, { proxyProtocol: 'V2' }));
  assert.equal(cause, 'greeting');
  assert.match(text, /PROXY header \(V2\)/);
  const nobody = await freePort();
  const refused = await fail(hopTo(nobody, { proxyProtocol: 'V2' }));
  assert.deepEqual(refused, await fail(hopTo(nobody)));
});

test('with a header too, nothing goes from an address that is not ours', async (t) => {
  const { front, port } = await startFronted(t);
  const { cause, text } = await fail(hopTo(port, { proxyProtocol: 'V2', sourceAddresses: ['192.0.2.99'] }));
  assert.equal(cause, 'local');
  assert.match(text, /192\.0\.2\.99: give this address to the pod/);
  assert.deepEqual(front.connections, []);
});
