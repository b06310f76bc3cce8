import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { makeAuthority } from '#test/kit/ca.ts';
import { TicketKeyRing } from './tickets.ts';

const newKey = () => randomBytes(48).toString('base64');
const pair = await (await makeAuthority()).issue(['relay.example']);
/** Two processes of a relay, each with a ring and a context. */
const rings = [new TicketKeyRing([]), new TicketKeyRing([])] as const;
const contexts = rings.map((ring) => {
  const context = createSecureContext({ ...pair, sessionIdContext: 'relay' });
  ring.giveTo(context);
  return context;
});
let next = 0;
/** As the library does it: OpenSSL asks the first context of a socket, even if SNI selects another one. */
const server = createServer((raw) => {
  const socket = new TLSSocket(raw, { isServer: true, secureContext: contexts[next++ % 2] as SecureContext });
  socket.on('error', () => undefined);
  // The text after the ticket shows that the ticket has arrived.
  socket.write('220 ');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());

async function handshake(version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer) {
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername: 'relay.example', rejectUnauthorized: false },
    ...{ minVersion: version, maxVersion: version, ...(session ? { session } : {}) },
  });
  let ticket: Buffer | undefined;
  socket.on('session', (given) => {
    ticket = given;
  });
  await once(socket, 'data');
  const resumed = socket.isSessionReused();
  ticket ??= socket.getSession();
  socket.destroy();
  return { resumed, ticket };
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: tickets outlive one change of keys, in every process, and are renewed; a forgotten key is a full handshake`, async () => {
    const [first, second, third] = [newKey(), newKey(), newKey()];
    const use = (...keys: string[]) => rings.forEach((ring) => void ring.use(keys));
    use(first);
    const { resumed: atFirst, ticket: old } = await handshake(version);
    assert.equal(atFirst, false);
    assert.equal((await handshake(version, old)).resumed, true, 'the other process knows the key');
    use(second, first);
    const renewed = await handshake(version, old);
    assert.equal(renewed.resumed, true);
    use(third, second);
    assert.equal((await handshake(version, old)).resumed, false);
    assert.equal((await handshake(version, renewed.ticket)).resumed, true);
  });
}

test('keys of another length are refused before they are used', () => {
  assert.throws(() => new TicketKeyRing(['c2hvcnQ=']), /48 bytes/);
});

test('no two tickets have the same initialization vector, and each is whole', () => {
  const hook = {
    enableTicketKeyCallback: () => undefined,
    onticketkeycallback: (_name: Buffer, _iv: Buffer, _encrypts: boolean): readonly unknown[] => [],
  };
  new TicketKeyRing([]).giveTo({ context: hook });
  const none = Buffer.alloc(16);
  const vectors = Array.from(
    { length: 1_000 },
    () => hook.onticketkeycallback(none, none, true)[4] as Buffer,
  );
  assert.ok(vectors.every(({ length }) => length === 16));
  assert.equal(new Set(vectors.map((one) => one.toString('hex'))).size, 1_000);
});
