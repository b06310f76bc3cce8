/**
 * The login of a SOCKS proxy: what cannot be sent makes the mail wait, with a reason that tells no secret. And tunnels
 * that end too early.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { AttemptBudget } from './budget.ts';
import { HopCredentials } from './hopcredentials.ts';
import { connectThrough, findTunnel } from './sockstunnel.ts';

function tunnelWith(files: Record<string, string>) {
  const hop = hopTo(25, { socksProxy: { host: 'socks.example', port: 1080, credentialsSecret: 'socks' } });
  return findTunnel(hop, new HopCredentials({ ...NO_MATERIALS, secrets: { socks: files } }));
}

test('a login of 255 bytes goes, and a longer one makes mail wait', () => {
  for (const longest of ['x'.repeat(255), 'ä'.repeat(127)]) {
    assert.equal(tunnelWith({ username: longest, password: longest }).kind, 'proxy');
    for (const files of [
      { username: `${longest}yy`, password: 'p' },
      { username: 'u', password: `${longest}yy` },
    ]) {
      const tunnel = tunnelWith(files);
      assert.match(tunnel.kind === 'unusable' ? tunnel.reason : '', /"socks" .* above 255 bytes: shorten it/);
      assert.equal(JSON.stringify(tunnel).includes(longest), false);
    }
  }
});

test('a Secret without a user name or a password makes mail wait, and a token is no password', () => {
  for (const files of [{}, { username: 'u' }, { password: 'p' }, { username: 'u', token: 't' }]) {
    const tunnel = tunnelWith(files);
    assert.match(tunnel.kind === 'unusable' ? tunnel.reason : '', /lacks username or password/);
  }
});

test('a proxy without a Secret gets no login, and a hop without a proxy no tunnel', () => {
  const none = new HopCredentials(NO_MATERIALS);
  const proxy = { host: 'socks.example', port: 1080, credentialsSecret: null };
  assert.deepEqual(findTunnel(hopTo(25, { socksProxy: proxy }), none), { kind: 'proxy', proxy, login: null });
  assert.deepEqual(findTunnel(hopTo(25), none), { kind: 'none' });
});

test('a tunnel that this relay gives up is no failure of the hop', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const budget = new AttemptBudget();
  const proxy = { host: '127.0.0.1', port, credentialsSecret: null };
  const terms = { proxy, address: '192.0.2.1', login: null, budget, trace: undefined };
  const { opened, abort } = connectThrough(hopTo(25), terms, () => assert.fail('nothing answered'));
  const [socket] = (await once(silent, 'connection')) as [Socket];
  abort('the relay is stopping');
  const result = await opened;
  assert.equal(result.kind === 'failed' && result.failure.cause, 'local');
  assert.match(result.kind === 'failed' ? result.failure.text : '', /: the relay is stopping$/);
  budget.close();
  socket.destroy();
  silent.close();
});

/** Makes the tunnel, and ends it so many milliseconds later. */
async function closingProxy(afterMs: number): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(Buffer.of(5, 0));
      socket.once('data', () => {
        socket.write(Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 25));
        setTimeout(() => socket.end(), afterMs);
      });
    });
  }).listen(0, '127.0.0.1');
  server.unref();
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

for (const implicitTLS of [true, false])
  test(`a tunnel that is closed at once ends the attempt at once, ${implicitTLS ? 'in the handshake' : 'before the greeting'}`, async (t) => {
    const client = clientWith();
    const budget = new AttemptBudget();
    t.after(() => {
      client.close();
      budget.close();
    });
    const results = await Promise.all(
      [0, 0, 1, 1, 3, 3, 10, 10].map(async (afterMs) => {
        const proxy = { host: '127.0.0.1', port: await closingProxy(afterMs), credentialsSecret: null };
        const hop = hopTo(25, { implicitTLS, tlsLevel: 'Encrypt', socksProxy: proxy });
        const delivery = client.deliver(wayTo(hop), '127.0.0.1', makeParcel('x: y\r\n\r\n'), budget);
        const late = pause(3_000, undefined, { ref: false }).then(() => undefined);
        return Promise.race([delivery, late]);
      }),
    );
    assert.deepEqual(
      results.map((result) => result?.kind),
      results.map(() => 'unreachable'),
    );
  });
