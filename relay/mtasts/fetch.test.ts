import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { makePair } from '#test/kit/ca.ts';
import { makeFetchContext } from './fetch.ts';

test('a fetch agrees on a group that is cheap, and on each that policy hosts have', async () => {
  const { cert, key } = await makePair('mta-sts.example');
  const cases = [
    ['auto', 'X25519'],
    ['P-256', 'prime256v1'],
    ['P-384', 'secp384r1'],
    ['P-521', 'secp521r1'],
  ] as const;
  const secureContext = makeFetchContext({ ca: [cert] });
  for (const [ecdhCurve, group] of cases) {
    const server = createServer({ cert, key, ecdhCurve }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client: TLSSocket = connect({
      port,
      host: '127.0.0.1',
      servername: 'mta-sts.example',
      secureContext,
    });
    await once(client, 'secureConnect');
    assert.equal((client.getEphemeralKeyInfo() as { name?: string }).name, group);
    client.destroy();
    server.close();
  }
});
