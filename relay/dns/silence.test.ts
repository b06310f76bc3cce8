/** Servers that say nothing to some questions: a resolver that works for long, or a network that loses datagrams. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, type TestContext, test } from 'node:test';
import packet from 'dns-packet';
import { holdTime } from '#test/kit/heldtime.ts';
import { DnsResolver } from './resolver.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** How long a question waits for its answer. */
const WAIT_MS = 3_000;
const ADDRESS: packet.Answer = { name: 'a.example', type: 'A', ttl: 60, data: '192.0.2.1' };
const SIGNATURE: packet.Answer = {
  name: 'a.example',
  type: 'RRSIG',
  ttl: 60,
  data: {
    typeCovered: 'A',
    algorithm: 13,
    labels: 2,
    originalTTL: 60,
    expiration: 1_700_000_000,
    inception: 1_600_000_000,
    keyTag: 7,
    signersName: 'example',
    signature: Buffer.alloc(64),
  },
};

/** `null`: the server says nothing to this question, the `count`th that it got. */
type Says = (question: packet.Packet, count: number) => packet.Packet | null;
const SERVFAIL: packet.Packet = { flags: 2 };
const isChecked = ({ flags = 0 }: packet.Packet) => (flags & packet.CHECKING_DISABLED) === 0;

/** Looks a name up at these servers. Where one says nothing, the time of a question passes at once. */
async function lookUp(context: TestContext, ...servers: readonly Says[]) {
  const pass = holdTime(context);
  const counts = servers.map(() => 0);
  const start = async (says: Says, index: number) => {
    const socket = createSocket('udp4');
    socket.on('message', (message, { port, address }) => {
      const question = packet.decode(message);
      const { id = 0, questions = [] } = question;
      counts[index] = (counts[index] ?? 0) + 1;
      const said = says(question, counts[index]);
      if (said) socket.send(packet.encode({ type: 'response', id, questions, ...said }), port, address);
      else setImmediate(pass, WAIT_MS);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    ends.push(() => void socket.close());
    return { address: '127.0.0.1', port: socket.address().port };
  };
  const resolver = new DnsResolver({
    servers: await Promise.all(servers.map(start)),
    trustAD: true,
    clock: () => 0,
  });
  return { answered: await resolver.lookUp('a.example', 'A'), counts };
}

for (const silent of [1, 2, 3])
  test(`a server that answers after ${silent * 3} seconds is waited for, although it says nothing to the questions before`, async (context) => {
    const { answered, counts } = await lookUp(context, (_, count) =>
      count > silent ? { answers: [ADDRESS] } : null,
    );
    assert.equal(answered.kind, 'records');
    assert.deepEqual(counts, [silent + 1]);
  });

test('of two servers that are slow the first one with an answer counts', async (context) => {
  const slow: Says = (_, count) => (count > 2 ? { answers: [ADDRESS] } : null);
  const { answered, counts } = await lookUp(context, () => null, slow);
  assert.equal(answered.kind, 'records');
  assert.deepEqual(counts, [3, 3]);
});

test('servers that say nothing at all are given up', async (context) => {
  const { answered, counts } = await lookUp(
    context,
    () => null,
    () => null,
  );
  assert.ok(answered.kind === 'failed' && /does not answer/.test(answered.why));
  assert.deepEqual(counts, [4, 4]);
});

test('a server that fails has said something: the silent one before it is asked no more often', async (context) => {
  const failing: Says = (question) => (isChecked(question) ? SERVFAIL : { answers: [ADDRESS, SIGNATURE] });
  const { answered, counts } = await lookUp(context, () => null, failing);
  assert.ok(answered.kind === 'failed' && answered.isBogus);
  // The last two questions tell a name that fails in DNSSEC from a server that fails.
  assert.deepEqual(counts, [2, 4]);
});

for (const [what, lost] of [
  ['that is not checked', 2],
  ['that is checked once more', 3],
] as const)
  test(`a bogus name is told as one, also where the question ${what} is lost`, async (context) => {
    const { answered } = await lookUp(context, (question, count) => {
      if (count === lost) return null;
      return isChecked(question) ? SERVFAIL : { answers: [ADDRESS, SIGNATURE] };
    });
    assert.ok(answered.kind === 'failed' && answered.isBogus, JSON.stringify(answered));
  });
