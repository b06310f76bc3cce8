/** Servers that say nothing to some questions: a resolver that works for long, or a network that loses datagrams. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import packet from 'dns-packet';
import { holdTime } from '#test/kit/heldtime.ts';
import { ADDRESS, SIGNATURE, say, startServer } from '#test/kit/questions.ts';
import { DnsResolver } from './resolver.ts';

/** How long a question waits for its answer. */
const WAIT_MS = 3_000;

/** `null`: the server says nothing to this question, the `count`th that it got. */
type Says = (question: packet.Packet, count: number) => packet.Packet | null;
const SERVFAIL: packet.Packet = { flags: 2 };
const isChecked = ({ flags = 0 }: packet.Packet) => (flags & packet.CHECKING_DISABLED) === 0;

/** Looks a name up at these servers. Where one says nothing, the time of a question passes at once. */
async function lookUp(context: TestContext, ...servers: readonly Says[]) {
  const pass = holdTime(context);
  const counts = servers.map(() => 0);
  const start = (says: Says, index: number) =>
    startServer((question, count) => {
      counts[index] = count;
      const said = says(question, count);
      if (said) return say(question, said);
      setImmediate(pass, WAIT_MS);
      return undefined;
    });
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
