/** Look-ups against a DNS server that does as the test says: it lies, is slow, cuts, or is gone. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import packet from 'dns-packet';
import { freePort } from '#test/kit/ports.ts';
import fc from '#test/kit/property.ts';
import { until } from '#test/kit/wait.ts';
import { readAnswer } from './answer.ts';
import { DnsResolver } from './resolver.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

type Change = (answer: packet.Packet, question: packet.Packet) => packet.Packet | readonly packet.Packet[];

const tlsa = (name: string, count = 1): packet.Answer[] =>
  Array.from({ length: count }, () => ({
    name,
    type: 'TLSA' as const,
    ttl: 60,
    data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 7) },
  }));

/** Answers over UDP and TCP as `change` makes it of an empty, signed answer. */
async function serve(change: Change, at?: number): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const make = (message: Buffer, over: string) => {
    const question = packet.decode(message);
    asked.push(`${over} ${question.questions?.[0]?.name}`);
    const answer: packet.Packet = {
      type: 'response',
      id: question.id ?? 0,
      flags: packet.RECURSION_AVAILABLE | packet.AUTHENTIC_DATA,
      questions: question.questions ?? [],
      answers: [],
    };
    return [change(answer, question)].flat().map((one) => packet.encode(one));
  };
  const udp = createSocket('udp4');
  // Both protocols need the same port, and the kernel would choose one that is free for UDP only.
  const port = at ?? (await freePort());
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve));
  udp.on('message', (message, from) => {
    for (const whole of make(message, 'udp'))
      udp.send(whole.length > 1_232 ? cut(whole) : whole, from.port, from.address);
  });
  const tcp = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      for (const whole of make(chunk.subarray(2), 'tcp')) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(whole.length);
        // In small pieces, as a slow network brings them.
        socket.write(length);
        for (let at = 0; at < whole.length; at += 1_000) socket.write(whole.subarray(at, at + 1_000));
      }
    });
  });
  await new Promise<void>((resolve) => tcp.listen(port, '127.0.0.1', resolve));
  ends.push(() => {
    udp.close();
    tcp.close();
  });
  return { port, asked };
}

function cut(whole: Buffer): Buffer {
  const { id, questions } = packet.decode(whole);
  return packet.encode({
    type: 'response',
    id: id ?? 0,
    flags: packet.TRUNCATED_RESPONSE | packet.AUTHENTIC_DATA,
    questions: questions ?? [],
  });
}

let now = 0;
function resolverAt(ports: readonly number[], trustAD = true): DnsResolver {
  const servers = ports.map((port) => ({ address: '127.0.0.1', port }));
  return new DnsResolver({ servers, trustAD, clock: () => now });
}

const named = (answer: packet.Packet) => answer.questions?.[0]?.name ?? '';

test('the word of the server on DNSSEC counts where it is trusted, and only there', async () => {
  const { port } = await serve((answer) => ({ ...answer, answers: tlsa(named(answer)) }));
  for (const trustAD of [true, false]) {
    const answer = await resolverAt([port], trustAD).lookUp('_25._tcp.MX.example.net.', 'TLSA');
    assert.ok(answer.kind === 'records');
    assert.deepEqual([answer.isSigned, answer.name], [trustAD, '_25._tcp.mx.example.net']);
    assert.equal(answer.records[0]?.data, '07'.repeat(32));
  }
  const plain = await serve((answer) => ({ ...answer, flags: 0, answers: tlsa(named(answer)) }));
  const unsigned = await resolverAt([plain.port]).lookUp('x.example', 'TLSA');
  assert.ok(unsigned.kind === 'records' && !unsigned.isSigned);
});

test('a datagram that is about another question is no answer, and the true one is still heard', async () => {
  const { port } = await serve((answer) => [
    { ...answer, id: ((answer.id ?? 0) + 1) % 65_536, answers: tlsa(named(answer)) },
    {
      ...answer,
      questions: [{ name: 'evil.example', type: 'TLSA', class: 'IN' }],
      answers: tlsa('evil.example'),
    },
    { ...answer, questions: [{ name: named(answer), type: 'A', class: 'IN' }] },
    { ...answer, questions: [], answers: tlsa(named(answer)) },
    { ...answer, type: 'query' },
    answer,
  ]);
  const answer = await resolverAt([port]).lookUp('mx.example', 'TLSA');
  assert.deepEqual(answer, { kind: 'absent', name: 'mx.example', exists: true, isSigned: true });
});

test('records of other names do not count, and an answer with nothing else is a failure', async () => {
  const liar = await serve((answer) => ({ ...answer, answers: tlsa('other.example') }));
  const answer = await resolverAt([liar.port]).lookUp('mx.example', 'TLSA');
  assert.ok(answer.kind === 'failed' && /another name/.test(answer.why));
  const mixed = await serve((one) => ({
    ...one,
    answers: [...tlsa('other.example', 3), ...tlsa('mx.example')],
  }));
  const found = await resolverAt([mixed.port]).lookUp('mx.example', 'TLSA');
  assert.equal(found.kind === 'records' && found.records.length, 1);
});

test('aliases are followed, and a circle of them ends', async () => {
  const alias = (name: string, data: string): packet.Answer => ({ name, type: 'CNAME', ttl: 60, data });
  const { port } = await serve((answer) => ({
    ...answer,
    answers: [alias('b.example', 'c.example'), alias('a.example', 'B.example'), ...tlsa('c.example')],
  }));
  const answer = await resolverAt([port]).lookUp('a.example', 'TLSA');
  assert.ok(answer.kind === 'records' && answer.name === 'c.example');
  const circle = await serve((one) => ({
    ...one,
    answers: [alias('a.example', 'b.example'), alias('b.example', 'a.example')],
  }));
  assert.equal((await resolverAt([circle.port]).lookUp('a.example', 'TLSA')).kind, 'absent');
});

test('a thousand records come over TCP, and so long an answer is not kept', async () => {
  const { port, asked } = await serve((answer) => ({ ...answer, answers: tlsa(named(answer), 1_000) }));
  const resolver = resolverAt([port]);
  for (const round of [1, 2]) {
    const answer = await resolver.lookUp('big.example', 'TLSA');
    assert.equal(answer.kind === 'records' && answer.records.length, 1_000);
    assert.equal(asked.filter((one) => one.startsWith('tcp')).length, round);
  }
});

test('an answer counts for its TTL, equal questions are asked once, and failures are asked again', async () => {
  const good = await serve((answer) => ({ ...answer, answers: tlsa(named(answer)) }));
  const resolver = resolverAt([good.port]);
  await Promise.all([resolver.lookUp('a.example', 'TLSA'), resolver.lookUp('A.example.', 'TLSA')]);
  now += 59_000;
  const kept = await resolver.lookUp('a.example', 'TLSA');
  assert.equal(kept.kind === 'records' && kept.until, 60_000);
  assert.equal(good.asked.length, 1);
  now += 1_000;
  await resolver.lookUp('a.example', 'TLSA');
  assert.equal(good.asked.length, 2);
  const bad = await serve((answer) => ({ ...answer, flags: 5 }));
  const failing = resolverAt([bad.port]);
  await failing.lookUp('a.example', 'TLSA');
  const before = bad.asked.length;
  await failing.lookUp('a.example', 'TLSA');
  assert.ok(bad.asked.length > before);
});

test('a server that is gone is passed over', async () => {
  const { port } = await serve((answer) => ({ ...answer, answers: tlsa(named(answer)) }));
  const gone = await serve((answer) => answer);
  ends.pop()?.();
  assert.equal((await resolverAt([gone.port, port]).lookUp('a.example', 'TLSA')).kind, 'records');
});

test('servers that cannot be reached are asked again after a second, as one that restarts is away for so long', async () => {
  const port = await freePort();
  const began = performance.now();
  const restarting = resolverAt([port]).lookUp('a.example', 'TLSA');
  const nobody = await resolverAt([port, await freePort()]).lookUp('a.example', 'TLSA');
  assert.ok(nobody.kind === 'failed' && /cannot be reached/.test(nobody.why));
  const took = performance.now() - began;
  assert.ok(took >= 990, `${took} ms`);
  assert.equal((await restarting).kind, 'failed');
  const back = resolverAt([port]).lookUp('a.example', 'TLSA');
  await setTimeout(100);
  await serve((answer) => ({ ...answer, answers: tlsa(named(answer)) }), port);
  assert.equal((await back).kind, 'records');
});

test('a server that was reached, or that Node cannot connect to, makes nothing wait or die', async () => {
  const failing = await serve((answer) => ({ ...answer, flags: 2 }));
  // Nobody answers there, so this waits for a second.
  let isOver = false;
  const waiting = resolverAt([await freePort()])
    .lookUp('a.example', 'TLSA')
    .finally(() => {
      isOver = true;
    });
  await resolverAt([await freePort(), failing.port]).lookUp('a.example', 'TLSA');
  assert.equal(isOver, false);
  await waiting;
  // A socket does not connect to a broadcast address without SO_BROADCAST.
  const servers = ['255.255.255.255', '127.0.0.1'].map((address) => ({ address, port: failing.port }));
  const resolver = new DnsResolver({ servers, trustAD: true, clock: () => now });
  const answer = await resolver.lookUp('a.example', 'TLSA');
  assert.ok(answer.kind === 'failed' && /SERVFAIL/.test(answer.why));
  const alone = new DnsResolver({ servers: servers.slice(0, 1), trustAD: true, clock: () => now });
  const unreached = await alone.lookUp('a.example', 'TLSA');
  assert.ok(unreached.kind === 'failed' && /cannot be reached/.test(unreached.why));
});

test('an error of one question ends no other', async () => {
  const asked: string[] = [];
  const port = await freePort();
  const begin = async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
    return socket;
  };
  const first = await begin();
  first.on('message', (message) => asked.push(packet.decode(message).questions?.[0]?.name ?? ''));
  const resolver = resolverAt([port]);
  const slow = resolver.lookUp('slow.example', 'TLSA');
  await until('the slow question arrives', () => asked.length === 1);
  first.close();
  const other = resolver.lookUp('other.example', 'TLSA');
  await setTimeout(100);
  await serve((answer) => ({ ...answer, answers: tlsa(named(answer)) }), port);
  assert.deepEqual(
    (await Promise.all([slow, other])).map(({ kind }) => kind),
    ['records', 'records'],
  );
});

test('what is no name of the DNS is not asked for', async () => {
  const { port, asked } = await serve((answer) => answer);
  for (const name of [
    '',
    '.',
    'a..example',
    'a b.example',
    `${'x'.repeat(64)}.example`,
    `${'x.'.repeat(127)}xx`,
  ])
    assert.equal((await resolverAt([port]).lookUp(name, 'A')).kind, 'failed', name);
  assert.equal((await resolverAt([port]).lookUp('bücher.example', 'A')).kind, 'absent');
  assert.deepEqual(asked, ['udp xn--bcher-kva.example']);
});

test('no bytes make the reading of an answer throw', () => {
  const question = { id: 7, name: 'a.example', type: 'TLSA' } as const;
  const right = packet.encode({
    type: 'response',
    id: 7,
    flags: packet.AUTHENTIC_DATA,
    questions: [{ name: 'a.example', type: 'TLSA', class: 'IN' }],
    answers: tlsa('a.example', 2),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: right.length - 1 }), fc.nat({ max: 255 }))),
      fc.nat({ max: 200 }),
      (changes, end) => {
        const bytes = Buffer.from(right);
        for (const [at, value] of changes) bytes[at] = value;
        readAnswer(bytes.subarray(0, bytes.length - Math.min(end, bytes.length)), question);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void readAnswer(Buffer.from(bytes), question)),
  );
});
