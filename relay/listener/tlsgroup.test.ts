import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { makePair } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { groupOfSession } from './tlsgroup.ts';

test('the group of a handshake is the one that the client sees', async () => {
  const { cert, key } = await makePair();
  const server = createServer({ cert, key }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cases = [
    [{}, 'X25519MLKEM768'],
    [{ ecdhCurve: 'X25519' }, 'X25519'],
    [{ ecdhCurve: 'P-384' }, 'secp384r1'],
    [{ ecdhCurve: 'P-256', maxVersion: 'TLSv1.2' as const }, 'secp256r1'],
  ] as const;
  for (const [options, group] of cases) {
    const accepted = once(server, 'secureConnection');
    const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    const [socket] = (await accepted) as [TLSSocket];
    assert.equal(groupOfSession(socket.getSession()), group);
    client.destroy();
    socket.destroy();
  }
  server.close();
});

test('whatever the bytes are, there is an answer', () => {
  assert.equal(groupOfSession(undefined), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      groupOfSession(Buffer.from([0x30, bytes.length, ...bytes]));
      groupOfSession(Buffer.from(bytes));
    }),
  );
});
