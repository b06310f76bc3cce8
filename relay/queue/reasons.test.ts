/** What a report says of a recipient is what a next hop said of that recipient. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { answers, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { AttemptResult } from '../delivery/courier.ts';
import { failureFromReply } from '../delivery/verdict.ts';
import { newQueueId } from '../spool/record.ts';
import { QueueTools } from './tools.ts';

const HOUR = 3_600_000;
let rig: QueueRig;
let answer: (to: readonly string[]) => AttemptResult;

beforeEach(() => {
  rig = new QueueRig();
  answer = (to) => answers({ to } as Parameters<typeof answers>[0], refusal);
});
afterEach(() => rig.remove());

const refusal = (address: string) =>
  failureFromReply(
    450,
    address.startsWith('full') ? `450 4.2.2 <${address}> is full` : `450 4.7.1 <${address}> greylisted`,
    'RCPT TO',
  );

async function begin(): Promise<void> {
  const policy = policyOf();
  const delayWarningSeconds = (4 * HOUR) / 1000;
  const manager = rig.begin((_, { to }) => answer(to), {
    ...policy,
    queue: { ...policy.queue, delayWarningSeconds },
  });
  await manager.start();
}

const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));

/** The reports that come of a sweep: what each says of each recipient. */
async function sweep(): Promise<Record<string, string>> {
  const before = new Set(rig.manager.ids());
  await rig.manager.actions.sweep();
  const told: Record<string, string> = {};
  for (const id of rig.manager.ids()) {
    const taken = before.has(id) ? undefined : rig.spool.load(id);
    const text = taken?.kind === 'message' ? String(taken.pieces()) : '';
    for (const [, to = '', said = ''] of text.matchAll(
      /^Final-Recipient: rfc822; (\S+)$[\s\S]*?^Diagnostic-Code: (.*)$/gm,
    ))
      told[to] = said.trim();
  }
  return told;
}

const FULL = 'smtp; 450 4.2.2 <full@hop.example> is full';
const GREY = 'smtp; 450 4.7.1 <grey@hop.example> greylisted';

test('each recipient of a message has its own reason, late, at the end and in the list', async () => {
  await begin();
  const id = await rig.enter('me@here.example', ['full@hop.example', 'grey@hop.example']);
  rig.manager.add(id);
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  const [entry] = new QueueTools(rig.manager, rig.spool).list();
  assert.deepEqual(
    entry?.recipients.map(({ reason }) => `smtp; ${reason}`),
    [FULL, GREY],
  );
  rig.now += 5 * HOUR;
  assert.deepEqual(await sweep(), { 'full@hop.example': FULL, 'grey@hop.example': GREY });
  rig.now += 120 * HOUR;
  assert.deepEqual(await sweep(), { 'full@hop.example': FULL, 'grey@hop.example': GREY });
});

test('after a restart nobody hears what the hop says of the mail of others', async () => {
  await begin();
  const full = await rig.enter('me@here.example', ['full@hop.example']);
  rig.manager.add(full);
  rig.manager.add(await rig.enter('you@here.example', ['grey@hop.example']));
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  await rig.manager.drain(0);
  // An earlier version kept no answers.
  const old = { address: 'old@hop.example', state: 'queued', triedAt: rig.now } as const;
  const envelope = { from: 'they@here.example', receivedAt: rig.now, smtpUtf8: false, eightBit: false };
  const body = { kind: 'inline', bytes: Buffer.from('Subject: s\r\n\r\n') } as const;
  await rig.spool.enter(newQueueId(rig.now), { ...envelope, recipients: [old] }, body);
  await begin();
  rig.manager.hurry((id) => id === full);
  await eventually(() => rig.count('deferred') === 3 && isIdle());
  rig.now += 5 * HOUR;
  assert.deepEqual(await sweep(), {
    'full@hop.example': FULL,
    'grey@hop.example': GREY,
    'old@hop.example': 'X-mailrelay; 4.4.1 hop.example has not taken it yet',
  });
});

test('of a destination that cannot be reached any more, no recipient keeps an old answer', async () => {
  await begin();
  rig.manager.add(await rig.enter('me@here.example', ['full@hop.example', 'grey@hop.example']));
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  answer = () => NOBODY;
  rig.now += 5 * HOUR;
  rig.manager.hurry(() => true);
  await eventually(() => rig.count('deferred') === 3 && isIdle());
  const nobody = 'X-mailrelay; 4.4.1 nobody there';
  assert.deepEqual(await sweep(), { 'full@hop.example': nobody, 'grey@hop.example': nobody });
});

const listReasons = () =>
  new QueueTools(rig.manager, rig.spool)
    .list()
    .flatMap(({ recipients }) => recipients.map(({ reason }) => reason))
    .toArray();

test('mail that goes elsewhere now does not wait for what the hop before has said', async () => {
  await begin();
  for (const to of ['full', 'grey'])
    rig.manager.add(await rig.enter('me@here.example', [`${to}@hop.example`]));
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  await rig.manager.drain(0);
  rig.routes = 'others';
  rig.limits = { 'hop.example': { connectionsPerDestination: 1, messagesPerDestinationPerMinute: 1 } };
  const later = failureFromReply(451, '451 4.7.1 later', 'RCPT TO');
  answer = (to) => answers({ to } as Parameters<typeof answers>[0], () => later);
  await begin();
  await eventually(() => rig.count('deferred') === 3 && isIdle());
  assert.deepEqual(listReasons().toSorted(), ['451 4.7.1 later', undefined]);
});

test('an answer that an earlier version has left in the record is not that of its attempt', async () => {
  await begin();
  const id = await rig.enter('me@here.example', ['full@hop.example']);
  rig.manager.add(id);
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  await rig.manager.drain(0);
  const read = rig.spool.read(id);
  if (read.kind !== 'message') assert.fail();
  const recipients = read.record.recipients.map((one) => ({ ...one, triedAt: rig.now + 1 }));
  await rig.spool.settle(id, { ...read.record, recipients });
  rig.now += 2;
  await begin();
  assert.deepEqual(listReasons(), [undefined]);
});
