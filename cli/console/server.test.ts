import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { FindAnswer } from './api.ts';
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

/** A relay with so many messages in its history, whose texts a stranger has written. */
function relayWith(messages: number): Relays {
  const entry = { from: 'a\u202e@x.example', received: '2026-11-29T04:00:00Z', bytes: 1, recipients: [] };
  const pod = {
    name: 'relay-0',
    find: async ({ most }: { most: number }) =>
      Array.from({ length: Math.min(most, messages) }, (_, number) => ({ id: `id${number}`, ...entry })),
    list: () => {
      throw new Error('No queue\u001b[31m');
    },
  };
  return { title: 'relay', everyMs: 1_000, pods: async () => [pod], taken: () => [] } as unknown as Relays;
}

async function asks(relays: Relays): Promise<{ ask: (path: string) => Promise<string>; close: () => void }> {
  const { url, close } = await startConsole(relays, { port: 0, allowsChanges: false });
  const { headers } = await fetch(url, { redirect: 'manual' });
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? assert.fail(url);
  const ask = async (path: string) => (await fetch(new URL(path, url), { headers: { cookie } })).text();
  return { ask, close };
}

test('a search that finds more than the page lists says so', async () => {
  for (const [messages, isCut] of [
    [100, false],
    [101, true],
  ] as const) {
    const { ask, close } = await asks(relayWith(messages));
    try {
      const answer = JSON.parse(await ask('/api/find?who=')) as FindAnswer;
      assert.deepEqual([answer.entries.length, answer.isCut], [100, isCut]);
    } finally {
      close();
    }
  }
});

test('no text of a stranger turns the page around', async () => {
  const { ask, close } = await asks(relayWith(1));
  try {
    const [found, queue] = [await ask('/api/find?who='), await ask('/api/queue?text=&state=')];
    assert.equal((JSON.parse(found) as FindAnswer).entries[0]?.from, 'a?@x.example');
    assert.deepEqual((JSON.parse(queue) as FindAnswer).problems, ['No queue?[31m']);
  } finally {
    close();
  }
});
