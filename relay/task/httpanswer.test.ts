/** Servers that do not answer as HTTP wants it. Whatever they do, a request settles once, within its time. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { badBodies, HOSTILITIES, type Hostility, TWICE } from '#test/kit/hostileserver.ts';
import { until } from '#test/kit/wait.ts';
import { answerTo, readBody } from './httpanswer.ts';

const WITHIN_MS = 300;
const LONG = () => AbortSignal.timeout(20_000);

interface World {
  readonly port: number;
  readonly server: Server;
  open: number;
}

async function withServer(manner: Hostility, use: (world: World) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    world.open += 1;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      world.open -= 1;
    });
    socket.once('data', () => manner(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const world: World = { server, port: (server.address() as AddressInfo).port, open: 0 };
  try {
    await use(world);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function ask(port: number, agent: Agent | false, signal = AbortSignal.timeout(WITHIN_MS)) {
  const made = request({ port, host: '127.0.0.1', agent });
  made.end();
  const answer = await answerTo(made, signal);
  return (await readBody(answer, 64 * 1024, signal)).toString();
}

/** What became of it, and that no timer of the test had to end it. */
async function settled(asked: Promise<string>): Promise<string> {
  const told = asked.catch(({ message }: Error) => `failed: ${message}`);
  let late: NodeJS.Timeout | undefined;
  const never = new Promise<string>((resolve) => {
    late = setTimeout(() => resolve('never'), 30_000);
  });
  return Promise.race([told, never]).finally(() => clearTimeout(late));
}

for (const [what, manner] of Object.entries({ ...HOSTILITIES, ...badBodies('text/plain') }))
  for (const keepAlive of [false, true])
    test(`${what} is a failure, and leaves no connection (${keepAlive ? 'kept connections' : 'one each'})`, async () => {
      await withServer(manner, async (world) => {
        const agent = keepAlive && new Agent({ keepAlive: true });
        assert.match(await settled(ask(world.port, agent)), /^failed: ./);
        await until('the connection ends', () => world.open === 0);
        if (agent) agent.destroy();
      });
    });

test('an answer in time is given once, whatever follows', async () => {
  for (const end of ['', 'HTTP/1.1 101 Yes\r\n\r\n', '\0'])
    await withServer(
      (socket) => {
        TWICE(socket);
        socket.write(end);
      },
      async ({ port }) => assert.equal(await settled(ask(port, false, LONG())), '{}'),
    );
});

test('without a length a body ends with its connection, if that ends in order', async () => {
  const text = 'x'.repeat(30_000);
  await withServer(
    (socket) => void socket.end(`HTTP/1.1 200 OK\r\n\r\n${text}`),
    async ({ port }) => assert.equal(await settled(ask(port, false, LONG())), text),
  );
});

test('a few answers 1xx before the answer are none', async () => {
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
  for (const first of ['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\n\r\n'])
    await withServer(
      (socket) => void socket.write(first.repeat(5) + answer),
      async ({ port }) => assert.equal(await settled(ask(port, false, LONG())), '{}'),
    );
});

test('a request that waits for a connection of its agent ends with its time', async () => {
  await withServer(HOSTILITIES['silence'] as Hostility, async ({ port }) => {
    const agent = new Agent({ maxSockets: 1 });
    const held = new AbortController();
    const first = settled(ask(port, agent, held.signal));
    assert.equal(await settled(ask(port, agent)), 'failed: it took too long');
    held.abort();
    assert.equal(await first, 'failed: it took too long');
    agent.destroy();
  });
});

test('a signal that has ended already ends the request at once', async () => {
  await withServer(TWICE, async ({ port }) =>
    assert.equal(await settled(ask(port, false, AbortSignal.abort())), 'failed: it took too long'),
  );
});
