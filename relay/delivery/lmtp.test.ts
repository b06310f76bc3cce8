/** LMTP next hops (RFC 2033): each accepted recipient has its own reply after the message. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { holdTime } from '#test/kit/heldtime.ts';
import { type Answer, Hop, type HopOptions, type Said } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { takeAll } from '#test/kit/linehop.ts';
import { letters, reasons, rig } from '#test/kit/linerig.ts';
import { freePort } from '#test/kit/ports.ts';
import fc from '#test/kit/property.ts';
import { HOSTNAME, hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { listVerdicts } from '../queue/mailevent.ts';
import { countsAsBounce } from '../suppression/entry.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { NextHop, Parcel } from './courier.ts';
import { LateTimer } from './latetimer.ts';

const TEXT = 'Subject: x\r\n\r\n.dot\r\nend\r\n';
const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends) await end();
});

function parcelTo(to: readonly string[], changes: Partial<Parcel> = {}): Parcel {
  return makeParcel(TEXT, { to, ...changes });
}

async function store(options: Omit<HopOptions, 'port' | 'lmtp'> = {}): Promise<{ hop: Hop; way: NextHop }> {
  const port = await freePort();
  const hop = await Hop.start({ lmtp: true, port, ...options });
  ends.push(() => hop.down());
  return { hop, way: hopTo(port, { protocol: 'LMTP' }) };
}

function sender() {
  const client = clientWith();
  ends.push(() => client.close());
  return async (hop: NextHop, parcel: Parcel): Promise<HopResult> => {
    const budget = new AttemptBudget();
    const way = wayTo(hop);
    const result =
      (await client.resume(way, parcel, budget)) ?? (await client.deliver(way, '127.0.0.1', parcel, budget));
    budget.close();
    return result;
  };
}

function verdicts(result: HopResult): string[] {
  if (result.kind === 'unreachable') return [`unreachable ${result.failure.status}`];
  return result.verdicts.map((verdict) =>
    verdict.kind === 'delivered'
      ? `delivered ${verdict.reply}`
      : `${verdict.failure.permanent ? 'refused' : 'deferred'} ${verdict.failure.status}`,
  );
}

/** Answers RCPT and the message by the local part of the recipient. */
const byName =
  (rcpt: Readonly<Record<string, Answer>>, message: Readonly<Record<string, Answer>>) =>
  ({ step, line, recipient = '' }: Said): Answer => {
    if (step === 'RCPT') return rcpt[/<(.*?)@/.exec(line)?.[1] ?? ''];
    return step === 'message' ? message[recipient.split('@')[0] ?? ''] : undefined;
  };

const at = (...names: string[]) => names.map((name) => `${name}@example.net`);

test('LHLO greets, each recipient has its own reply, and the session takes the next message', async () => {
  const answer = byName(
    { nobody: '550 5.1.1 no such user', later: '450 4.2.1 later' },
    { full: '552 5.2.2 mailbox full', busy: '452 4.2.2 busy' },
  );
  const { hop, way } = await store({ answer });
  const send = sender();
  const to = at('a', 'nobody', 'full', 'later', 'busy', 'b');
  for (let round = 1; round <= 2; round++) {
    assert.deepEqual(verdicts(await send(way, parcelTo(to))), [
      'delivered 250 2.0.0 taken',
      'refused 5.1.1',
      'refused 5.2.2',
      'deferred 4.2.1',
      'deferred 4.2.2',
      'delivered 250 2.0.0 taken',
    ]);
  }
  assert.equal(hop.sessions, 1);
  assert.deepEqual(hop.lines('EHLO'), []);
  assert.deepEqual(hop.lines('LHLO'), [`LHLO ${HOSTNAME}`]);
  assert.equal(hop.taken[0]?.text, TEXT);
});

test('what a store says of one recipient after the message is the word about that recipient', async () => {
  const gone = '550 5.1.1 no such user';
  const { way } = await store({ answer: byName({ nobody: gone }, { gone, left: gone }) });
  const to = at('a', 'nobody', 'gone', 'left');
  const result = await sender()(way, parcelTo(to));
  assert.ok(result.kind === 'answered');
  const recipients = to.map((address) => ({ address, state: 'queued' as const }));
  const byAddress = new Map(result.verdicts.map((verdict, index) => [to[index] ?? '', verdict]));
  const attempt = { id: '1k86ld9njg720qjr', at: 1, hop: 'store:24' };
  const events = listVerdicts({ recipients }, byAddress, attempt);
  const terms = { statuses: ['5.1.1'], seconds: 1, bounces: 1, action: 'Refuse' as const };
  assert.deepEqual(
    events.map((event) => countsAsBounce(event, terms)),
    [false, true, true, true],
  );
});

test('any mix of replies gives each recipient the verdict of its own reply', async () => {
  const codes = ['250 2.1.5 fine', '250 fine', '452 4.2.2 full', '550 5.7.1 no', '421 4.3.2 going down'];
  const kinds = { '2': 'delivered', '4': 'deferred', '5': 'refused' } as Record<string, string>;
  let replies: readonly string[] = [];
  const { way } = await store({
    answer: ({ step, recipient = '' }) =>
      step === 'message' ? replies[Number(recipient.slice(1).split('@')[0])] : undefined,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...codes), { minLength: 1, maxLength: 8 }), async (drawn) => {
      replies = drawn;
      const result = await sender()(way, parcelTo(at(...drawn.map((_, index) => `u${index}`))));
      // A 421 too is the answer for one recipient, as long as the store answers for the others.
      const wanted = drawn.map((reply) => kinds[reply[0] ?? '']);
      assert.deepEqual(
        verdicts(result).map((text) => text.split(' ')[0]),
        wanted,
      );
    }),
    { numRuns: 30 },
  );
});

test('a session that ends between two replies: what was answered counts, and the rest waits', async () => {
  for (const [c, d] of [
    ['drop', undefined],
    ['421 4.3.0 crash', 'drop'],
  ] as const) {
    const { hop, way } = await store({ answer: byName({}, { b: '550 5.2.1 disabled', c, d }) });
    const result = await sender()(way, parcelTo(at('a', 'b', 'c', 'd')));
    assert.deepEqual(
      verdicts(result).map((text) => text.split(' ')[0]),
      ['delivered', 'refused', 'deferred', 'deferred'],
      c,
    );
    assert.equal(hop.sessions, 1);
  }
});

test('a session with a 421 for one recipient takes no other message', async () => {
  const { hop, way } = await store({ answer: byName({}, { a: '421 4.3.2 later' }) });
  const send = sender();
  for (let round = 1; round <= 2; round++)
    assert.deepEqual(verdicts(await send(way, parcelTo(at('a', 'b')))), [
      'deferred 4.3.2',
      'delivered 250 2.0.0 taken',
    ]);
  assert.equal(hop.sessions, 2);
});

test('replies before the message has ended: refusals count, and an early 250 delivers nothing', async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  async function* body() {
    yield Buffer.from('Subject: x\r\n\r\n');
    await asked;
    yield Buffer.from('end\r\n');
  }
  for (const [early, wanted] of [
    ['552 5.3.4 too big\r\n552 5.3.4 too big', 'refused 5.3.4,refused 5.3.4'],
    // The 250 shows that nobody knows whom the 550 is for.
    ['550 5.7.1 no\r\n250 fine', 'deferred 4.0.0,deferred 4.0.0'],
    ['250 fine\r\n250 fine', 'deferred 4.0.0,deferred 4.0.0'],
  ] as const) {
    const { way } = await store({
      answer: ({ step }) => (step === 'DATA' ? { raw: `354 go on\r\n${early}\r\n` } : undefined),
    });
    const result = await sender()(way, parcelTo(at('a', 'b'), { body }));
    assert.equal(verdicts(result).join(), wanted);
  }
  ask();
});

test('with every recipient refused no message goes, even where the hop asks for it', async () => {
  for (const data of ['503 5.5.1 no recipients', '354 go on']) {
    const { hop, way } = await store({
      answer: (said) =>
        said.step === 'DATA' ? data : byName({ a: '550 5.1.1 a', b: '450 4.2.1 b' }, {})(said),
    });
    assert.deepEqual(verdicts(await sender()(way, parcelTo(at('a', 'b')))), [
      'refused 5.1.1',
      'deferred 4.2.1',
    ]);
    assert.deepEqual(hop.taken, []);
  }
});

test('the TLS levels hold as for SMTP, and LHLO is said again under TLS', async () => {
  const authority: Authority = await makeAuthority();
  const pair = await authority.issue(['localhost']);
  const { hop, way } = await store({ pair });
  assert.equal((await sender()({ ...way, tlsLevel: 'Encrypt' }, parcelTo(at('a')))).kind, 'answered');
  assert.equal(hop.lines('LHLO').length, 2);
  assert.match(hop.taken[0]?.tls ?? '', /^TLSv1/);
  const plain = await store();
  const refused = await sender()({ ...plain.way, tlsLevel: 'Encrypt' }, parcelTo(at('a')));
  assert.deepEqual(verdicts(refused), ['unreachable 4.7.5']);
});

test('a store with the name of the relay is no loop, and a server that speaks SMTP alone gets nothing', async () => {
  const named = await store({ answer: ({ step }) => (step === 'LHLO' ? `250 ${HOSTNAME}` : undefined) });
  assert.deepEqual(verdicts(await sender()(named.way, parcelTo(at('a')))), ['delivered 250 2.0.0 taken']);
  const port = await freePort();
  const smtp = await Hop.start({ port });
  ends.push(() => smtp.down());
  const result = await sender()(hopTo(port, { protocol: 'LMTP' }), parcelTo(at('a')));
  assert.equal(result.kind, 'unreachable');
  assert.deepEqual(smtp.lines('HELO'), []);
});

for (const [protocol, recipients, late] of [
  ['SMTP', 3, /^no reply to the message within ten minutes$/],
  ['LMTP', 1, /^no reply to the message within ten minutes$/],
  ['LMTP', 3, /^the replies to the message take too long$/],
] as const)
  test(`${protocol}: a wait for the end of a message to ${recipients} says what is late`, async (context) => {
    const { mock } = context.mock.method(LateTimer.prototype, 'start');
    const { send } = await rig(
      (line) =>
        line === '.' && protocol === 'LMTP' ? Array(recipients).fill('250 ok').join('\r\n') : takeAll(line),
      { protocol },
    );
    assert.equal(letters(await send(recipients)), 'D'.repeat(recipients));
    const waits = mock.calls
      .map((call) => call.arguments[1])
      .filter((reason) => reason.includes('to the message'));
    assert.ok(waits.length > 0);
    for (const reason of waits) assert.match(reason, late);
  });

const realTimeout = setTimeout;

for (const [recipients, minutes] of [
  [1, 10],
  [3, 12],
  [30, 39],
] as const)
  test(`a store that answers one of ${recipients} recipients every eight minutes is cut after ${minutes} minutes`, async (context) => {
    const pass = holdTime(context);
    const ended = Promise.withResolvers<Socket>();
    const { send } = await rig(
      (line, socket) => {
        if (line === '.') ended.resolve(socket);
        return line === '.' ? null : takeAll(line);
      },
      { protocol: 'LMTP' },
    );
    let result: HopResult | undefined;
    const delivery = send(recipients).then((sent) => {
      result = sent;
    });
    const socket = await ended.promise;
    // The network takes real time.
    const turns = () => new Promise((resolve) => realTimeout(resolve, 10));
    await turns();
    for (let minute = 1; minute < minutes; minute += 1) {
      pass(60_000);
      if (minute % 8 === 0 && minute / 8 < recipients) socket.write('250 2.0.0 taken\r\n');
      await turns();
      assert.equal(result, undefined, `after ${minute} minutes`);
    }
    pass(60_000);
    await delivery;
    const answered = Math.min(recipients - 1, Math.floor((minutes - 1) / 8));
    assert.ok(result);
    assert.equal(letters(result), `${'D'.repeat(answered)}${'w'.repeat(recipients - answered)}`);
    const late =
      recipients > 1 ? /the replies to the message take/ : /no reply to the message within ten min/;
    assert.match(reasons(result), late);
  });
