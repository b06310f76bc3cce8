import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#test/kit/ports.ts';
import { type AdminSource, startAdmin } from './admin.ts';

const SOURCE: AdminSource = {
  status: () => assert.fail(),
  metrics: async () => '',
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
