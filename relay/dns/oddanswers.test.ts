/** What a server says beside an answer: errors of every form, and what a SERVFAIL means. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import packet from 'dns-packet';
import { holdTime } from '#test/kit/heldtime.ts';
import { ADDRESS, SIGNATURE, say, startServer } from '#test/kit/questions.ts';
import { DnsResolver } from './resolver.ts';

const UNCHECKED = packet.CHECKING_DISABLED;
/** Looks a name up at a server that answers the questions in turn as this says. */
async function lookUp(answer: (question: packet.Packet, count: number) => Buffer) {
  let count = 0;
  const server = await startServer((question, asked) => {
    count = asked;
    return answer(question, asked);
  });
  const servers = [server];
  const began = performance.now();
  const answered = await new DnsResolver({ servers, trustAD: true, clock: () => 0 }).lookUp('a.example', 'A');
  return { answered, count, tookMs: performance.now() - began };
}

const fail = (question: packet.Packet, code: number): Buffer => say(question, { flags: code });
/** The name as if nothing were checked. */
const isUnchecked = ({ flags = 0 }: packet.Packet) => (flags & UNCHECKED) !== 0;

for (const [code, why] of [
  [1, /answers FORMERR$/],
  [2, /cannot resolve it \(SERVFAIL\)$/],
  [3, /answers NXDOMAIN$/],
  [4, /answers NOTIMP$/],
  [5, /refuses to answer \(REFUSED\)$/],
] as const)
  test(`an error of twelve octets ends the try, and is told (${code})`, async () => {
    const { answered, tookMs } = await lookUp((question) => fail({ ...question, questions: [] }, code));
    assert.ok(answered.kind === 'failed' && !answered.isBogus);
    assert.match(answered.why, why);
    assert.ok(tookMs < 2_000, `${tookMs} ms`);
  });

test('twelve octets with another id, or without an error, are no answer', async (context) => {
  const pass = holdTime(context);
  const { answered, count } = await lookUp((question, asked) => {
    // What has come is read before the time of the question is over.
    setImmediate(pass, 3_000);
    return asked % 2 === 1
      ? fail({ ...question, id: ((question.id ?? 0) + 1) % 65_536, questions: [] }, 5)
      : fail({ ...question, questions: [] }, 0);
  });
  assert.equal(count, 4);
  assert.ok(answered.kind === 'failed' && /does not answer/.test(answered.why));
});

test('an error that needs more than the header is a failure, and no absence', async () => {
  const { answered } = await lookUp((question) =>
    say(question, {
      additionals: [
        {
          name: '.',
          type: 'OPT',
          udpPayloadSize: 1_232,
          extendedRcode: 1,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  );
  assert.ok(answered.kind === 'failed' && /BADVERS/.test(answered.why));
});

test('bogus is told apart from a server that fails, and the unchecked answer is never used', async () => {
  const bogus = await lookUp((question) =>
    isUnchecked(question) ? say(question, { answers: [ADDRESS, SIGNATURE] }) : fail(question, 2),
  );
  assert.ok(bogus.answered.kind === 'failed' && bogus.answered.isBogus);
  const down = await lookUp((question) => fail(question, 2));
  assert.ok(down.answered.kind === 'failed' && !down.answered.isBogus && /SERVFAIL/.test(down.answered.why));
});

test('a SERVFAIL that passes is none: the name is answered, and never told as bogus', async () => {
  for (const answers of [[ADDRESS], [ADDRESS, SIGNATURE]]) {
    const { answered, count } = await lookUp((question, asked) =>
      asked === 1 ? fail(question, 2) : say(question, { answers }),
    );
    assert.ok(answered.kind === 'records' && count === 3);
  }
});

test('a name without signatures is not bogus, whatever the server says when it is asked again', async () => {
  const { answered } = await lookUp((question) =>
    isUnchecked(question) ? say(question, { answers: [ADDRESS] }) : fail(question, 2),
  );
  assert.ok(answered.kind === 'failed' && !answered.isBogus && /SERVFAIL/.test(answered.why));
});

test('a server that takes no connection for what is too long for UDP was reached', async () => {
  const { answered } = await lookUp((question) => say(question, { flags: packet.TRUNCATED_RESPONSE }));
  assert.ok(answered.kind === 'failed' && !answered.isUnasked);
  assert.match(answered.why, /takes no connection over TCP/);
});
