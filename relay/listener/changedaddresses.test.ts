import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SMTPServerAddress, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { compileMaps } from '../headers/maps.ts';
import { ChangedAddresses } from './changedaddresses.ts';
import { REPLIES } from './reply.ts';
import { ReportAddress } from './reportaddress.ts';

const SUPPRESSION = { seconds: 86_400, bounces: 1, statuses: ['5.1.1'], action: 'Discard' as const };

/** All addresses of y.example lead to the team. `give` sends RCPT. */
function begin(
  team: readonly string[],
  isSuppressed: (address: string) => boolean,
  recipients = 1_000,
  args: object | false = false,
  more: { sendAllTo?: string; alwaysBcc?: string } = {},
) {
  const base = policyOf({ acceptDomains: ['y.example'], feedbackReports: { address: 'fbl@relay.example' } });
  const entries = ['@y.example', ...team].map((address) => ({
    address,
    to: address.startsWith('@') ? [...team] : [address],
    refuse: null,
  }));
  const recipient = {
    ...base.addresses.recipient,
    parts: ['Envelope' as const],
    map: { entries, tables: [] },
  };
  const policy: Policy = {
    ...base,
    inbound: {
      ...base.inbound,
      limits: { ...base.inbound.limits, recipients },
      alwaysBcc: more.alwaysBcc ?? null,
    },
    queue: { ...base.queue, suppression: SUPPRESSION },
    addresses: { ...base.addresses, recipient, sendAllTo: more.sendAllTo ?? null },
  };
  const maps = compileMaps(policy);
  const reports = new ReportAddress(policy, async () => 1);
  const addresses = new ChangedAddresses(policy, () => maps, reports, isSuppressed);
  const mailFrom = { address: 'a@x.example', args } as unknown as SMTPServerAddress;
  const rcptTo: SMTPServerAddress[] = [];
  const session = { envelope: { mailFrom, rcptTo } } as unknown as SMTPServerSession;
  addresses.refusalOfSender(mailFrom, false);
  return {
    give: (address: string, orcpt = '', notify: readonly string[] = []) => {
      const one = { address, args: false, dsn: { orcpt, notify } } as unknown as SMTPServerAddress;
      const refusal = addresses.refusalOfRecipient(one, session, false);
      const known = rcptTo.findIndex((other) => other.address.toLowerCase() === address.toLowerCase());
      if (!refusal) rcptTo.splice(known === -1 ? rcptTo.length : known, known === -1 ? 0 : 1, one);
      return refusal;
    },
    read: () => {
      const read = addresses.readMessage(session, false);
      return read.kind === 'changed' ? read : assert.fail(read.reply.text);
    },
  };
}

const listNames = (count: number, begin = '') =>
  Array.from({ length: count }, (_, index) => `${begin}${index}@y.example`);

test('a suppressed recipient of many aliases is there once, with a hundred of the addresses that led to it', () => {
  for (const isSuppressed of [true, false]) {
    const { give, read } = begin(['Ann@y.example', 'ann@y.example'], () => isSuppressed);
    for (const alias of listNames(200, 'alias')) assert.equal(give(alias), undefined);
    const { to, discarded } = read();
    const [ann, ...others] = isSuppressed ? discarded : to;
    assert.deepEqual([ann?.address, others], ['Ann@y.example', []]);
    assert.deepEqual(ann?.given, listNames(100, 'alias'));
  }
});

test('suppressed recipients count in the limit of a message as all others', () => {
  for (const isSuppressed of [true, false]) {
    const { give, read } = begin(listNames(300, 'team'), () => isSuppressed);
    const refusals = listNames(5, 'alias').map((alias) => give(alias));
    const refused = REPLIES.tooManyRecipients;
    assert.deepEqual(refusals, [undefined, undefined, undefined, refused, refused]);
    const { to, discarded } = read();
    assert.deepEqual([to.length, discarded.length], isSuppressed ? [0, 300] : [300, 0]);
  }
});

test('a repeated recipient takes the place of the one before, and counts in the limit of a transaction', () => {
  const { give, read } = begin(['ann@y.example'], () => false, 5);
  const refusals = Array.from({ length: 7 }, (_, n) =>
    give(n % 2 ? 'Bob@y.example' : 'bob@Y.example', `${n}`),
  );
  const refused = REPLIES.tooManyRecipients;
  assert.deepEqual(refusals, [...Array(5).fill(undefined), refused, refused]);
  const { to } = read();
  assert.deepEqual([to.length, to[0]?.orcpt], [1, '4']);
});

test('a sender who wants to hear of a repeated recipient at one time hears of it', () => {
  const joined = (...wishes: readonly (readonly string[])[]) => {
    const { give, read } = begin(['ann@y.example'], () => false);
    for (const notify of wishes) assert.equal(give('bob@y.example', 'rfc822;bob', notify), undefined);
    const [one, ...others] = read().to;
    assert.deepEqual([one?.address, others], ['ann@y.example', []]);
    return one?.notify;
  };
  assert.deepEqual(joined(['SUCCESS', 'FAILURE'], ['NEVER']), ['SUCCESS', 'FAILURE']);
  assert.deepEqual(joined(['SUCCESS'], ['NEVER'], ['DELAY']), ['DELAY', 'SUCCESS']);
  assert.deepEqual(joined([], ['NEVER']), undefined);
  assert.deepEqual(joined(['NEVER'], ['NEVER']), ['NEVER']);
});

test('the addresses of a repeated alias are there once', () => {
  const { give, read } = begin(listNames(400, 'team'), () => false);
  for (let n = 0; n < 10; n++) assert.equal(give('alias@y.example'), undefined);
  assert.equal(read().to.length, 400);
});

test('an alias of an address of reports has the bounds of that address', () => {
  const make = (args?: object) => begin(['fbl@relay.example'], () => false, 1_000, args);
  const { give } = make();
  assert.equal(give('abuse@y.example'), undefined);
  assert.equal(give('b@x.example'), REPLIES.oneRecipient);
  const second = make();
  assert.equal(second.give('b@x.example'), undefined);
  assert.equal(second.give('abuse@y.example'), REPLIES.oneRecipient);
  assert.equal(make({ SIZE: '3000000' }).give('abuse@y.example'), REPLIES.tooLarge);
});

test('a mail is for an address of reports wherever it goes, and a copy of other mail is not', () => {
  const [fbl, box] = ['fbl@relay.example', 'box@z.example'];
  const read = (to: string, more: Parameters<typeof begin>[4], isSuppressed = () => false) => {
    const { give, read: readMessage } = begin([fbl], isSuppressed, 1_000, false, more);
    assert.equal(give(to), undefined);
    const { reports, to: left } = readMessage();
    return [reports, left.map(({ address }) => address)];
  };
  for (const to of [fbl, 'abuse@y.example']) {
    assert.deepEqual(read(to, { sendAllTo: box }), [['feedbackReports'], [box]]);
    assert.deepEqual(
      read(to, { sendAllTo: box }, () => true),
      [['feedbackReports'], []],
    );
    assert.deepEqual(read(to, { alwaysBcc: box }), [['feedbackReports'], [fbl, box]]);
  }
  assert.deepEqual(read('b@x.example', { alwaysBcc: fbl }), [[], ['b@x.example', fbl]]);
  assert.deepEqual(read('b@x.example', { sendAllTo: fbl }), [[], [fbl]]);
});
