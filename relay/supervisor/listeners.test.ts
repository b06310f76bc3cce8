/** Real listener processes, without the rest of a relay. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listenerAt, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';
import { monotonic } from '../task/clock.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import type { Generation } from './generation.ts';
import { ListenerTasks } from './listeners.ts';

const PORT = 25;

async function rig(t: TestContext, processes: number) {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-listeners-'));
  const died: unknown[] = [];
  const nothing = () => undefined;
  const tasks = new ListenerTasks({
    stateDir,
    processes,
    logFd: openSync(join(stateDir, 'log'), 'a'),
    drainMs: 1_000,
    clock: monotonic,
    log: (event, fields) => {
      if (event === 'task_died') died.push(fields?.['pid']);
    },
    onEntered: nothing,
    onPlaintext: nothing,
    onCounts: nothing,
    onTaskEnd: nothing,
    onChange: nothing,
  });
  const server = createServer({ pauseOnConnect: true }, (socket) => tasks.accept(socket, PORT));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const begun: Generation[] = [];
  t.after(async () => {
    server.close();
    await tasks.stop(0);
    for (const generation of begun) tasks.abandon(generation);
    await Promise.all(begun.flatMap(({ members }) => members.map(({ process }) => process.exited)));
    rmSync(stateDir, { recursive: true });
  });
  const begin = async (proxyNetworks: string[] = []): Promise<Generation> => {
    const policy = policyOf({ listeners: [listenerAt(PORT, { proxyNetworks })] });
    const started = await tasks.start(policy, NO_MATERIALS);
    assert.ok('members' in started);
    begun.push(started);
    return started;
  };
  return { tasks, died, begin, port: (server.address() as AddressInfo).port };
}

/** Kills the first of the processes, and waits for its end. Returns its id. */
async function killOne({ members }: Generation): Promise<number> {
  const { process: task } = members[0] ?? assert.fail('no process');
  const { pid } = task;
  process.kill(pid, 'SIGKILL');
  await task.exited;
  return pid;
}

async function greets(port: number): Promise<void> {
  const talker = await SmtpClient.connect(port);
  assert.match(await talker.reply(), /^220 /);
  talker.close();
}

test('a process that ends after it was ready and before it is in service is replaced, also the only one', async (t) => {
  const { tasks, died, begin, port } = await rig(t, 1);
  for (let change = 0; change < 2; change++) {
    const generation = await begin();
    const pid = await killOne(generation);
    assert.equal(died.length, change, 'it may still be abandoned');
    tasks.putInService(generation);
    assert.deepEqual(died.slice(change), [pid]);
    await eventually(() => tasks.isReady);
    await greets(port);
    assert.equal(generation.members.length, 1);
  }
  assert.equal(tasks.starts, 4);
});

test('of several processes only those that are missing are started', async (t) => {
  const { tasks, died, begin, port } = await rig(t, 2);
  const generation = await begin();
  const [, kept] = generation.members;
  const pid = await killOne(generation);
  tasks.putInService(generation);
  await greets(port);
  await eventually(() => tasks.starts === 2);
  assert.equal(generation.members.length, 2);
  assert.ok(generation.members.every(({ ready }) => ready) && generation.members.some((one) => one === kept));
  assert.deepEqual(died, [pid]);
});

test('a connection whose PROXY header comes when the relay stops is ended, and does not wait for ever', async (t) => {
  const { tasks, begin, port } = await rig(t, 1);
  tasks.putInService(await begin(['127.0.0.0/8']));
  const proxy = connect(port, '127.0.0.1');
  await once(proxy, 'connect');
  // The header of this one is read, so the first connection has been accepted.
  const other = connect(port, '127.0.0.1');
  other.write('PROXY UNKNOWN\r\n');
  assert.match(String((await once(other, 'data'))[0]), /^220 /);
  other.destroy();
  const stopped = tasks.stop(0);
  proxy.end('PROXY UNKNOWN\r\n');
  proxy.resume();
  await once(proxy, 'close');
  await stopped;
});
