import assert from 'node:assert/strict';
import { get } from 'node:http';
import { test } from 'node:test';
import { joinSessions } from '#crds/sessions.ts';
import { freePort } from '#test/kit/ports.ts';
import { type AdminSource, startAdmin } from './admin.ts';

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

test('only its own machine hears of the sessions, and not who is passed on by a sidecar', async () => {
  const admin = await startAdmin('127.0.0.1', 0, SOURCE);
  const { port } = admin.bound;
  const ask = (path: string, localAddress: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = get({ host: '127.0.0.1', port, path, localAddress, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.once('error', reject);
    });
  try {
    assert.equal(await ask('/sessions', '127.0.0.1'), 200);
    assert.equal(await ask('/sessions', '127.0.0.6'), 403);
    assert.equal(await ask('/healthz', '127.0.0.6'), 200);
  } finally {
    await admin.close();
  }
});
