/** Which socket serves a question, and that what becomes of one question concerns no other. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { holdTime } from '#test/kit/heldtime.ts';
import { until } from '#test/kit/wait.ts';
import { Transport } from './transport.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** Two octets of an id, as a question has them, and a text. */
function question(id: number, text = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(id);
  return Buffer.concat([head, Buffer.from(text)]);
}

const read = (message: Buffer) => message.subarray(2).toString();

/** Calls `hear` with each question and with what answers it. */
async function serve(
  hear: (message: Buffer, reply: (answer: Buffer, sent?: () => void) => void, from: RemoteInfo) => void,
) {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (message, from) =>
    hear(message, (answer, sent) => socket.send(answer, from.port, from.address, sent), from),
  );
  let isOpen = true;
  const stop = () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  ends.push(stop);
  return { port: socket.address().port, stop };
}

/** Echoes, unless the text of the question says that it shall be silent. Tells the port of each question. */
async function echo() {
  const ports: number[] = [];
  const { port, stop } = await serve((message, reply, from) => {
    ports.push(from.port);
    if (read(message) !== 'silent') reply(message);
  });
  return { port, ports, stop };
}

for (const [address, isNear] of [
  ['127.0.0.1', true],
  // No loopback by its text, and Linux connects it to this machine.
  ['0.0.0.0', false],
] as const)
  test(`questions of one time have a port each, and later ones ${isNear ? 'the same ports' : 'others'} (${address})`, async (context) => {
    holdTime(context);
    const { port, ports } = await echo();
    const transport = new Transport({ address, port });
    for (const ids of [
      [1, 2, 1],
      [3, 4, 5],
    ]) {
      const answers = await Promise.all(ids.map((id) => transport.askOverUdp(question(id, `q${id}`), read)));
      assert.deepEqual(
        answers,
        ids.map((id) => `q${id}`),
      );
    }
    assert.equal(new Set(ports.slice(0, 3)).size, 3);
    assert.equal(new Set(ports).size === 3, isNear);
  });

test('a socket that nobody used for a second closes, and one in use does not', async (context) => {
  const pass = holdTime(context);
  const { port, ports, stop } = await echo();
  const transport = new Transport({ address: '127.0.0.1', port });
  const ask = () => transport.askOverUdp(question(1), read);
  await Promise.all([ask(), ask()]);
  for (let round = 0; round < 4; round += 1) {
    pass(400);
    await ask();
  }
  assert.equal(new Set(ports).size, 2);
  pass(1_200);
  await ask();
  assert.equal(new Set(ports).size, 3);
  stop();
});

test('an idle socket keeps no process alive', async () => {
  const { port } = await echo();
  const program = `
    import { Transport } from ${JSON.stringify(new URL('transport.ts', import.meta.url).href)};
    await new Transport({ address: '127.0.0.1', port: ${port} }).askOverUdp(Buffer.of(0, 1), () => true);
    const answered = performance.now();
    process.on('exit', () => console.log(performance.now() - answered));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  assert.ok(Number(stdout) < 990, stdout);
});

test('an answer that came while the process had no CPU counts, although its time is over', async (context) => {
  const pass = holdTime(context);
  const udp = await serve((message, reply) => reply(message, () => setImmediate(pass, 3_000)));
  const near = new Transport({ address: '127.0.0.1', port: udp.port });
  assert.equal(await near.askOverUdp(question(1, 'q1'), read), 'q1');
  const server = createServer((socket) =>
    socket.once('data', (message) => socket.write(message, () => setImmediate(pass, 5_000))),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const far = new Transport({ address: '127.0.0.1', port });
  assert.equal(await far.askOverTcp(question(1, 'q2'), read), 'q2');
});

test('a late answer reaches no other question', async () => {
  const late: (() => void)[] = [];
  const { port } = await serve((message, reply) => {
    for (const answer of late) answer();
    if (read(message) === 'slow') late.push(() => reply(message));
    else reply(message);
  });
  const transport = new Transport({ address: '127.0.0.1', port });
  assert.equal(await transport.askOverUdp(question(1, 'slow'), read), undefined);
  assert.equal(await transport.askOverUdp(question(1, 'next'), read), 'next');
});

test('what does not answer the question is dropped, also while no question waits', async () => {
  const { port } = await serve((message, reply) => {
    for (const one of [Buffer.of(), Buffer.of(0), question(9, 'nobody'), message, message]) reply(one);
  });
  const transport = new Transport({ address: '127.0.0.1', port });
  const ask = (text: string) =>
    transport.askOverUdp(question(1, text), (message) => (read(message) === text ? text : undefined));
  for (const text of ['q1', 'q2', 'q3']) assert.equal(await ask(text), text);
});

test('a socket whose question was silent is not used again, whatever else is asked meanwhile', async () => {
  const { port, ports } = await echo();
  const transport = new Transport({ address: '127.0.0.1', port });
  await transport.askOverUdp(question(1), read);
  const silent = transport.askOverUdp(question(2, 'silent'), read);
  let isSilent = true;
  void silent.then(() => {
    isSilent = false;
  });
  while (isSilent) {
    await transport.askOverUdp(question(3), read);
    await setTimeout(100);
  }
  const [first, , ...meanwhile] = ports;
  assert.equal(ports[1], first);
  await transport.askOverUdp(question(4), read);
  assert.ok(!meanwhile.concat(ports.slice(-1)).includes(first ?? 0));
});

test('a closed port fails the question that was sent there and no other, and later ones have a new socket', async () => {
  const { port, ports, stop } = await echo();
  const transport = new Transport({ address: '127.0.0.1', port });
  await transport.askOverUdp(question(0), read);
  const silent = transport.askOverUdp(question(1, 'silent'), read);
  await until('the question arrives', () => ports.length === 2);
  stop();
  await assert.rejects(transport.askOverUdp(question(2), read), { code: 'ECONNREFUSED' });
  const again = createSocket('udp4');
  again.on('message', (message, from) => again.send(message, from.port, from.address));
  again.bind(port, '127.0.0.1');
  ends.push(() => void again.close());
  await once(again, 'listening');
  assert.equal(await transport.askOverUdp(question(3, 'q3'), read), 'q3');
  assert.equal(await silent, undefined);
});

test('a connect that fails at once rejects, and leaves no socket', async () => {
  // A socket does not connect to a broadcast address without SO_BROADCAST.
  const transport = new Transport({ address: '255.255.255.255', port: 53 });
  for (let round = 0; round < 2; round += 1)
    await assert.rejects(transport.askOverUdp(question(1), read), { syscall: 'connect' });
});

test('a process without file descriptors is told so at once', async () => {
  const program = `
    import { openSync } from 'node:fs';
    import { Transport } from ${JSON.stringify(new URL('transport.ts', import.meta.url).href)};
    const transport = new Transport({ address: '127.0.0.1', port: 53 });
    try { for (;;) openSync('/dev/null', 'r'); } catch {}
    const began = performance.now();
    const told = await transport.askOverUdp(Buffer.of(0, 1), () => true).catch(({ code }) => code);
    process.stdout.write(told + (performance.now() - began < 1000 ? ' at once' : ' late'));`;
  const shell = 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', shell, process.execPath, program]);
  assert.equal(stdout, 'EMFILE at once');
});
