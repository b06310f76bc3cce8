import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { SILENT } from '#test/kit/hopway.ts';
import { type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { joinSteps } from '../headers/header.ts';
import { Spool } from '../spool/spool.ts';
import { Counters } from '../task/counts.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import type { MailForNobody } from '../task/messages.ts';
import { makeArrival } from './arrival.ts';
import { openIntake } from './intake.ts';
import type { ReportAddress } from './reportaddress.ts';

const NOW = Date.parse('2026-11-29T04:00:00Z');
const MAIL = 'Message-ID: <m1@x.example>\r\n\r\nb\r\n';

let dirs: PodDirs;

beforeEach(() => {
  dirs = podDirs();
});
afterEach(() => dirs.remove());

/** A listener takes mail for these recipients, and for others that are suppressed. */
async function take(to: readonly string[], gone: readonly string[], events: Policy['events']) {
  const base = policyOf();
  const policy: Policy = { ...base, events, queue: { ...base.queue, historySeconds: 86_400 } };
  const entered: string[] = [];
  const nowhere: MailForNobody[] = [];
  const intake = openIntake(policy, NO_MATERIALS, dirs.stateDir, {
    log: () => undefined,
    tracer: SILENT,
    counters: new Counters(),
    onEntered: (id) => entered.push(id),
    onNowhere: (mail) => nowhere.push(mail),
  });
  const rcptTo = [...to, ...gone].map((address) => ({ address, args: false }));
  const envelope = { mailFrom: { address: 'a@x.example', args: false }, rcptTo };
  const session = { envelope, remoteAddress: '192.0.2.1', openingCommand: 'EHLO' };
  const header = joinSteps([]);
  const [left, discarded] = [to, gone].map((list) => list.map((address) => ({ address })));
  const changed = { from: 'a@x.example', to: left ?? [], discarded: discarded ?? [], reports: [], header };
  const arrival = makeArrival(session as unknown as SMTPServerSession, changed, {
    policy,
    tls: null,
    receivedAt: NOW,
    login: null,
    filter: null,
    ownSenders: undefined,
    ours: false,
    senderDomains: null,
    reportAddress: {
      withoutDsn: <One>(one: One) => one,
      findMostBytes: () => null,
    } as unknown as ReportAddress,
    lineEndings: 'Strict',
  });
  const stream = Readable.from([Buffer.from(MAIL)]) as unknown as SMTPServerDataStream;
  const { id } = await intake.take(stream, arrival);
  await intake.close();
  return { id, entered, nowhere };
}

async function readStore() {
  const spool = new Spool(dirs.stateDir);
  const told = spool.outbox.list(10).map(({ value }) => {
    const { type, data } = JSON.parse(value.toString()) as { type: string; data: Record<string, unknown> };
    return [type, data['queueId'], data['to'] ?? data['recipientCount']];
  });
  const found = { ids: spool.list(), told };
  await spool.close();
  return found;
}

const RECEIVER = {} as NonNullable<Policy['events']>;

test('mail whose recipients are all suppressed is in no queue: an older relay would keep it for ever', async () => {
  const { id, entered, nowhere } = await take([], ['gone@y.example'], RECEIVER);
  assert.deepEqual(await readStore(), {
    ids: [],
    told: [
      ['mail.accepted', id, 0],
      ['mail.discarded', id, 'gone@y.example'],
    ],
  });
  assert.deepEqual(entered, []);
  const discarded = [{ address: 'gone@y.example' }];
  const told = { id, from: 'a@x.example', discarded, receivedAt: NOW, bytes: MAIL.length };
  assert.deepEqual(nowhere, [{ ...told, messageId: 'm1@x.example' }]);
});

test('without a receiver of events, nothing of such mail is stored', async () => {
  const { nowhere } = await take([], ['gone@y.example'], null);
  assert.deepEqual(await readStore(), { ids: [], told: [] });
  assert.equal(nowhere.length, 1);
});

test('mail that has one recipient left is in the queue', async () => {
  const { id, entered, nowhere } = await take(['b@y.example'], ['gone@y.example'], RECEIVER);
  const { ids, told } = await readStore();
  assert.deepEqual([ids, entered, nowhere], [[id], [id], []]);
  assert.deepEqual(
    told.map(([type]) => type),
    ['mail.accepted', 'mail.discarded'],
  );
});
