/** Messages that go in several transactions, because a hop takes few recipients at once: who goes with whom, and when. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { takeAll } from '#test/kit/linehop.ts';
import { rig as hopRig } from '#test/kit/linerig.ts';
import { answers, greylisted, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { AttemptResult, Parcel } from '../delivery/courier.ts';
import { failureFromReply } from '../delivery/verdict.ts';

const HOUR = 3_600_000;
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

async function sendTo(hop: Awaited<ReturnType<typeof hopRig>>, parcel: Parcel): Promise<AttemptResult> {
  const result = await hop.send(0, parcel);
  return result.kind === 'answered' ? { ...result, hop: 'hop:25', passedOver: [] } : result;
}

for (const said of ['452 4.5.3 Too many recipients', '452 Too many recipients', '552 Too many recipients'])
  test(`recipients beyond what a hop takes at once go at once in further transactions, as many as it took: ${said}`, async () => {
    const sent: number[] = [];
    const manager = rig.begin((_, parcel) => {
      sent.push(parcel.to.length);
      const tooMany = failureFromReply(Number(said.slice(0, 3)), said, 'RCPT TO');
      return answers(parcel, (address) => (parcel.to.indexOf(address) >= 3 ? tooMany : undefined));
    });
    await rig.enter(
      '',
      Array.from({ length: 11 }, (_, index) => `r${index}@hop.example`),
    );
    await manager.start();
    await eventually(() => manager.figures.depth === 0 || rig.count('deferred') > 15);
    assert.deepEqual(sent, [11, 3, 3, 2]);
  });

for (const [why, answer, expected] of [
  [
    'that takes no more recipients for now',
    failureFromReply(452, '452 4.5.3 Too many recipients', 'RCPT TO'),
    [100, 1, 2, 4, 8, 16, 32, 64, 22],
  ],
  ['that takes the message no more', failureFromReply(451, '451 4.7.1 Try later', 'DATA'), [100, 1, 100, 48]],
] as const)
  test(`a hop ${why} does not get each recipient in a transaction of its own`, async () => {
    const sent: number[] = [];
    const tooMany = failureFromReply(452, '452 4.5.3 Too many recipients', 'RCPT TO');
    const manager = rig.begin((_, parcel) => {
      const first = sent.push(parcel.to.length) === 1 ? undefined : answer;
      return answers(parcel, (address) => (address === parcel.to[0] ? first : tooMany));
    });
    await rig.enter(
      '',
      Array.from({ length: 150 }, (_, index) => `r${index}@hop.example`),
    );
    await manager.start();
    await eventually(() => manager.figures.deferrals.length > 0);
    assert.deepEqual(sent, expected);
  });

for (const isWanted of [false, true])
  test(`a message of many transactions lets others have their turn between them${isWanted ? ', also one that a person wants' : ''}`, async () => {
    const sent: string[] = [];
    let isGrey = true;
    const tooMany = failureFromReply(452, '452 4.5.3 Too many recipients', 'RCPT TO');
    const limits = { ...policyOf().outbound.limits, connectionsPerDestination: 1 };
    const manager = rig.begin(
      (_, parcel) => {
        rig.now += 1;
        if (!isGrey) sent.push(parcel.to.join().slice(0, 1));
        const answer = (address: string) => (parcel.to.indexOf(address) >= 1 ? tooMany : undefined);
        return answers(parcel, isGrey ? () => greylisted : answer);
      },
      policyOf({}, { limits }),
    );
    const long = await rig.enter('', ['l1@hop.example', 'l2@hop.example', 'l3@hop.example']);
    await manager.start();
    await eventually(() => rig.count('deferred') === 3 && !manager.isDelivering(long));
    const short = await rig.enter('', ['s@hop.example']);
    manager.add(short);
    await eventually(() => rig.count('deferred') === 4 && !manager.isDelivering(short));
    isGrey = false;
    const fresh = await rig.enter('', ['n@hop.example']);
    if (isWanted) manager.hurry(new Set([long]));
    else rig.now += HOUR;
    manager.add(fresh);
    await eventually(() => manager.figures.depth === (isWanted ? 1 : 0));
    assert.equal(sent.join(''), isWanted ? 'lnll' : 'lsnll');
  });

test('a message of many transactions lets others have their turn between them, also where the hop takes all', async () => {
  const sent: string[] = [];
  const limits = { ...policyOf().outbound.limits, connectionsPerDestination: 1 };
  const manager = rig.begin(
    (_, parcel) => {
      rig.now += 1;
      sent.push(parcel.to.join().slice(0, 1));
      return answers(parcel);
    },
    policyOf({}, { limits }),
  );
  const all = Array.from({ length: 450 }, (_, index) => `l${index}@hop.example`);
  await rig.enter('', all, rig.now - 1_000);
  for (let index = 0; index < 12; index++) await rig.enter('', [`s${index}@hop.example`]);
  await manager.start();
  await eventually(() => manager.figures.depth === 0);
  assert.doesNotMatch(sent.join(''), /ll/);
});

test('a mailbox that is full, at a hop that takes few recipients at once, has few others asked in vain', async () => {
  let asked = 0;
  const manager = rig.begin((_, parcel) => {
    let taken = 0;
    asked += parcel.to.length;
    return answers(parcel, (address) => {
      if (taken === 1) return failureFromReply(452, '452 4.5.3 Too many recipients', 'RCPT TO');
      if (address.endsWith('5@hop.example')) return failureFromReply(452, '452 4.2.2 full', 'RCPT TO');
      taken += 1;
      return undefined;
    });
  });
  const all = Array.from({ length: 100 }, (_, index) => `r${index}@hop.example`);
  await rig.enter('', all);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length > 0);
  assert.equal(rig.count('delivered'), 90);
  assert.ok(asked < 230, String(asked));
});

/** As Postfix does after smtpd_hard_error_limit, which a message that it takes begins anew. */
for (const most of [10, 20])
  test(`a hop that takes one recipient, and ends a session after ${most} refusals, gets the next attempt one by one`, async () => {
    let taken = 0;
    let refusals = 0;
    const hop = await hopRig((line, socket) => {
      if (line === '' || line === '.') refusals = 0;
      if (line.startsWith('MAIL')) taken = 0;
      if (!line.startsWith('RCPT')) return takeAll(line);
      taken += 1;
      if (taken === 1) return '250 ok';
      refusals += 1;
      if (refusals < most) return '452 4.5.3 one at a time';
      socket.end('421 4.7.0 Error: too many errors\r\n');
      return null;
    });
    const sent: number[] = [];
    const manager = rig.begin(async (_, parcel) => {
      sent.push(parcel.to.length);
      return sendTo(hop, parcel);
    });
    const all = Array.from({ length: 100 }, (_, index) => `r${index}@hop.example`);
    const id = await rig.enter('', all);
    await manager.start();
    await eventually(() => rig.count('deferred') === 1 && !manager.isDelivering(id));
    rig.now += HOUR;
    manager.hurry(() => true);
    await eventually(() => manager.figures.depth === 0 || rig.count('deferred') > 1);
    assert.deepEqual(sent, [100, ...Array(100).fill(1)]);
  });

test('a hop that takes one recipient, and ends a session over its refusals, gets the others one by one also where some do not exist', async () => {
  let taken = 0;
  let refusals = 0;
  const hop = await hopRig((line, socket) => {
    if (line === '' || line === '.') refusals = 0;
    if (line.startsWith('MAIL')) taken = 0;
    if (!line.startsWith('RCPT')) return takeAll(line);
    const isDead = /5@/.test(line);
    if (!isDead && taken === 0) {
      taken = 1;
      return '250 ok';
    }
    refusals += 1;
    if (refusals < 10) return isDead ? '550 5.1.1 unknown' : '452 4.5.3 one at a time';
    socket.end('421 4.7.0 Error: too many errors\r\n');
    return null;
  });
  const manager = rig.begin((_, parcel) => sendTo(hop, parcel));
  const all = Array.from({ length: 120 }, (_, index) => `r${index}@hop.example`);
  const id = await rig.enter('', all);
  await manager.start();
  await eventually(() => rig.count('deferred') > 0 && !manager.isDelivering(id));
  rig.now += HOUR;
  manager.hurry(() => true);
  await eventually(
    () => manager.figures.depth === 0 || (rig.count('deferred') > 99 && !manager.isDelivering(id)),
  );
  assert.equal(rig.count('delivered'), 108);
});

test('a hop that refuses the message for good where recipients are too many has it for all of them in the end', async () => {
  let taken = 0;
  // The words of Exim with recipients_max_reject.
  const hop = await hopRig((line) => {
    if (line.startsWith('MAIL')) taken = 0;
    if (line.startsWith('RCPT')) taken += 1;
    if (taken > 3 && line.startsWith('RCPT')) return '552 too many recipients';
    return taken > 3 && line === 'DATA' ? '554 Too many recipients' : takeAll(line);
  });
  const sent: number[] = [];
  const manager = rig.begin(async (_, parcel) => {
    sent.push(parcel.to.length);
    return sendTo(hop, parcel);
  });
  await rig.enter(
    'me@home.example',
    Array.from({ length: 8 }, (_, index) => `r${index}@hop.example`),
  );
  await manager.start();
  await eventually(() => manager.figures.depth === 0 || rig.count('returned') > 0);
  assert.deepEqual([sent, rig.count('delivered'), rig.count('returned')], [[8, 3, 3, 2], 8, 0]);
});
