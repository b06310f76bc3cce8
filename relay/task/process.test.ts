/** A real process, and connections that are passed to it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { Patience } from './backoff.ts';
import { TaskProcess } from './process.ts';

/** Greets each connection and ends it. */
const PROGRAM = `process.on('message', ({ kind }, socket) => {
  if (kind === 'configure') process.send({ kind: 'ready' });
  else socket.end('220 here\\r\\n');
});
process.on('disconnect', () => process.exit(0));
`;

interface Rig {
  readonly task: TaskProcess<{ kind: string }, { kind: string }>;
  readonly passed: () => number;
  readonly call: () => Socket;
}

const makeTask = (entry: string) =>
  new TaskProcess<{ kind: string }, { kind: string }>({
    entry,
    logFd: 2,
    onMessage: () => undefined,
    onPulse: () => undefined,
    patience: new Patience(),
  });

async function rig(t: TestContext): Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-task-'));
  const entry = join(dir, 'task.cjs');
  writeFileSync(entry, PROGRAM);
  const task = makeTask(entry);
  let passed = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    passed += 1;
    task.send({ kind: 'connection' }, socket);
  });
  t.after(() => {
    task.kill();
    server.close();
    rmSync(dir, { recursive: true });
  });
  assert.deepEqual(await task.start({ kind: 'configure' }), { kind: 'ready' });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { task, passed: () => passed, call: () => connect(port, '127.0.0.1') };
}

async function hear(client: Socket): Promise<string> {
  let heard = '';
  client.on('data', (chunk) => {
    heard += chunk;
  });
  client.on('error', () => undefined);
  if (!client.closed) await once(client, 'close');
  return heard;
}

test('a connection belongs to the process: it is served there, and its end reaches the client', async (t) => {
  const { call } = await rig(t);
  for (let round = 0; round < 3; round++) {
    const heard = await Promise.all(Array.from({ length: 10 }, () => hear(call())));
    assert.deepEqual(new Set(heard), new Set(['220 here\r\n']));
  }
});

test('connections on their way to a process that dies end with it', async (t) => {
  const { task, passed, call } = await rig(t);
  process.kill(task.pid, 'SIGSTOP');
  const heard = Array.from({ length: 5 }, () => hear(call()));
  await until('all to be passed on', () => passed() === 5);
  task.kill();
  assert.deepEqual(await Promise.all(heard), ['', '', '', '', '']);
});

test('a process that does not answer when it is asked for its sessions is given up within seconds', async (t) => {
  const { task } = await rig(t);
  process.kill(task.pid, 'SIGSTOP');
  assert.equal(await task.sessions(), undefined);
});

test('the earliest deadline ends a process by force, also where a later one is given after it', async (t) => {
  const { task } = await rig(t);
  process.kill(task.pid, 'SIGSTOP');
  // Ten seconds come on top of each.
  task.drain({ kind: 'drain' }, -10_000);
  task.drain({ kind: 'drain' }, 600_000);
  await task.exited;
});

test('a process that the system does not make is a start that failed, and has ended', async (t) => {
  t.after(() => delete process.env['MAILRELAY_TOO_LARGE']);
  // Node throws this error as it throws a lack of memory.
  process.env['MAILRELAY_TOO_LARGE'] = 'x'.repeat(200_000);
  const task = makeTask('/nowhere.cjs');
  assert.deepEqual(await task.start({ kind: 'configure' }), { kind: 'failed', message: 'spawn E2BIG' });
  await task.exited;
  assert.equal(await task.sessions(), undefined);
});
