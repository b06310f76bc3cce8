import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { QueueClient } from './queueclient.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'queueclient-'));
after(() => rmSync(stateDir, { recursive: true }));

async function withServer(answer: RequestListener, use: (client: QueueClient) => Promise<void>) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(join(stateDir, CONTROL_SOCKET), resolve));
  try {
    await use(new QueueClient(stateDir));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function listIds(client: QueueClient): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of client.list()) ids.push(id);
  return ids;
}

test('a list that is cut off before its first line is asked for again', async () => {
  let asked = 0;
  await withServer(
    (_, response) => {
      asked += 1;
      response.writeHead(200).flushHeaders();
      if (asked < 3) setImmediate(() => response.destroy());
      else response.end('{"id":"one"}\n{"id":"two"}\n');
    },
    async (client) => assert.deepEqual(await listIds(client), ['one', 'two']),
  );
  assert.equal(asked, 3);
});

test('a list that is cut off later, and an answer that is cut off, are errors and never a shorter answer', async () => {
  await withServer(
    (request, response) => {
      response.writeHead(200).write(request.method === 'POST' ? '[{"id":"one",' : '{"id":"one"}\n');
      setTimeout(() => response.destroy(), 20);
    },
    async (client) => {
      await assert.rejects(listIds(client), /ended in the middle of the answer, ask again/);
      await assert.rejects(client.do('hold', ['one']), /ended in the middle of the answer, ask again/);
    },
  );
});

test('characters that are split over two packets arrive whole, and an empty queue is no error', async () => {
  const bytes = Buffer.from('{"id":"\u00e4\u4e2d"}\n');
  await withServer(
    (request, response) => {
      response.writeHead(200).write(bytes.subarray(0, 8));
      setTimeout(() => response.end(bytes.subarray(8)), 20);
      request.resume();
    },
    async (client) => assert.deepEqual(await listIds(client), ['\u00e4\u4e2d']),
  );
  await withServer(
    (_, response) => response.writeHead(200).end(),
    async (client) => assert.deepEqual(await listIds(client), []),
  );
});

test('a fault of the relay is told in its own words, and never as a message that is not there', async () => {
  await withServer(
    (request, response) => {
      request.resume();
      response.writeHead(500).end('the disk has an error\n');
    },
    async (client) => {
      for (const asked of [
        () => client.show('one'),
        () => client.message('one'),
        () => listIds(client),
        () => client.find('most=1'),
        () => client.count('most=1'),
        () => client.do('hold', ['one']),
        () => client.suppressed(),
      ])
        await assert.rejects(asked(), {
          message: 'The relay has a fault of its own, see its log: the disk has an error',
        });
    },
  );
});
