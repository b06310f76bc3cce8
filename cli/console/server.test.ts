import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Relays } from './relays.ts';
import { startConsole } from './server.ts';

test('a port in use is told with the option that names another', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  try {
    await assert.rejects(startConsole({} as Relays, { port, allowsChanges: false }), {
      message: `Cannot serve the console at port ${port}: the port is in use; choose another by --port, or leave it out`,
    });
  } finally {
    taken.close();
  }
});
