import assert from 'node:assert/strict';
import { get, type RequestOptions } from 'node:http';
import { test } from 'node:test';
import { joinSessions } from '#crds/sessions.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { type AdminServer, type AdminSource, startAdmin } from './admin.ts';

const SOURCE: AdminSource = {
  status: () => assert.fail(),
  metrics: async () => '',
  sessions: async () => joinSessions([]),
  differsFrom: async () => undefined,
};

test('a port that cannot be opened is one sentence in plain words, with its cure', async () => {
  const port = await freePort();
  const admin = await startAdmin('127.0.0.1', port, SOURCE);
  try {
    for (const [address, why] of [
      ['127.0.0.1', 'the port is in use; stop what uses it, or choose another port by --admin-port'],
      ['192.0.2.7', 'this machine does not have that address'],
    ] as const)
      await assert.rejects(startAdmin(address, port, SOURCE), {
        message: `Cannot serve health and metrics at ${address} port ${port}: ${why}`,
      });
  } finally {
    await admin.close();
  }
});

function ask(
  { bound: { port } }: AdminServer,
  path: string,
  { localAddress = '127.0.0.1', headers = {} }: Pick<RequestOptions, 'localAddress' | 'headers'> = {},
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path, localAddress, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.once('error', reject);
  });
}

test('only its own machine hears of the sessions, and not who is passed on by a sidecar', async () => {
  const admin = await startAdmin('127.0.0.1', 0, SOURCE);
  try {
    assert.equal(await ask(admin, '/sessions'), 200);
    assert.equal(await ask(admin, '/sessions', { localAddress: '127.0.0.6' }), 403);
    assert.equal(await ask(admin, '/healthz', { localAddress: '127.0.0.6' }), 200);
    for (const name of ['Forwarded', 'X-Forwarded-For', 'Via', 'l5d-client-id'])
      assert.equal(await ask(admin, '/sessions', { headers: { [name]: '' } }), 403, name);
  } finally {
    await admin.close();
  }
});

test('a page in a browser of this machine does not hear of the sessions by a name that leads here', async () => {
  const admin = await startAdmin('127.0.0.1', 0, SOURCE);
  const asked = (host: string) => ask(admin, '/sessions', { headers: { host } });
  try {
    for (const host of ['localhost', 'LocalHost:9090', '127.0.0.1', '192.0.2.7:9090', '[::1]:9090', '[::1]'])
      assert.equal(await asked(host), 200, host);
    for (const host of [
      'evil.example',
      'evil.example:9090',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
    ])
      assert.equal(await asked(host), 403, host);
  } finally {
    await admin.close();
  }
});

test('those who ask for the sessions at one time share one collection, and the next one is new', async () => {
  let begun = 0;
  const gate = Promise.withResolvers<void>();
  const sessions = async () => {
    begun += 1;
    await gate.promise;
    if (begun === 1) throw new Error('no answer');
    return joinSessions([]);
  };
  const admin = await startAdmin('127.0.0.1', 0, { ...SOURCE, sessions });
  try {
    const all = Array.from({ length: 20 }, () => ask(admin, '/sessions'));
    // Those before it on the same server have been read.
    await until('the first one to be read', () => begun > 0);
    for (let n = 0; n < 20; n++) await ask(admin, '/healthz');
    assert.equal(begun, 1);
    gate.resolve();
    assert.deepEqual(new Set(await Promise.all(all)), new Set([500]));
    assert.equal(await ask(admin, '/sessions'), 200);
    assert.equal(begun, 2);
  } finally {
    await admin.close();
  }
});
