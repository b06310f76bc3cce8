import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Retry } from '#crds/policyfile.ts';
import { failureFromReply, type Verdict } from '../delivery/verdict.ts';
import type { QueueRecord } from '../spool/record.ts';
import { applyVerdicts, sortTooMany } from './settlement.ts';

const taken: Verdict = { kind: 'delivered', reply: '250 ok' };
const said = (code: number, text: string, command = 'RCPT TO'): Verdict => ({
  kind: 'failed',
  failure: failureFromReply(code, `${code} ${text}`, command),
});

/** The state after the verdicts: delivered, alone, together, deferred, final. */
function sorted(...verdicts: Verdict[]): string[] {
  const { again, verdicts: after } = sortTooMany(verdicts);
  return after.map((verdict, index) => {
    const how = again[index];
    if (how) return verdict.kind === 'failed' && !verdict.failure.permanent ? how : 'wrong';
    if (verdict.kind === 'delivered') return 'taken';
    return verdict.failure.permanent ? 'final' : 'waits';
  });
}

test('a bare 552 behind a recipient that was taken is one too many; before one it is final', () => {
  assert.deepEqual(sorted(taken, said(552, 'too many')), ['taken', 'together']);
  assert.deepEqual(sorted(said(552, 'no'), taken), ['final', 'taken']);
  assert.deepEqual(sorted(said(452, 'later'), said(552, 'no')), ['waits', 'final']);
});

test('recipients count as taken whose message was refused later', () => {
  assert.deepEqual(sorted(said(451, 'no', 'DATA'), said(552, 'too many')), ['waits', 'alone']);
  assert.deepEqual(sorted(said(552, 'too large', 'DATA'), said(552, 'too large', 'DATA')), [
    'final',
    'final',
  ]);
});

test('a message that is refused for good together with recipients that are too many goes again, to as many as were accepted', () => {
  const [data, tooMany] = [said(554, 'Too many recipients', 'DATA'), said(552, 'too many recipients')];
  const both = ['together', 'together', 'together', 'together'];
  assert.deepEqual(sorted(data, data, tooMany, tooMany), both);
  assert.equal(sortTooMany([data, data, tooMany, tooMany]).atOnce, 2);
  assert.deepEqual(sorted(data, said(550, '5.1.1 no'), tooMany), ['together', 'final', 'together']);
  assert.deepEqual(sorted(data, data), ['final', 'final']);
  assert.deepEqual(sorted(data, said(552, '5.2.2 full')), ['final', 'final']);
  assert.deepEqual(sorted(data, said(452, 'too many')), ['final', 'waits']);
});

for (const [code, text] of [
  [452, '4.5.3 too many'],
  [452, 'too many'],
  [552, '5.5.3 too many'],
  [552, 'too many'],
] as const)
  test(`${code} ${text} behind a recipient who has the message goes into the next transaction, with as many as this one had`, () => {
    const tooMany = said(code, text);
    assert.deepEqual(sorted(taken, said(550, '5.1.1 no'), tooMany, tooMany), [
      'taken',
      'final',
      'together',
      'together',
    ]);
    assert.equal(sortTooMany([taken, said(550, '5.1.1 no'), taken, tooMany, tooMany]).atOnce, 2);
    assert.equal(sortTooMany([taken, said(452, '4.2.2 full')]).atOnce, undefined);
  });

for (const text of ['4.5.3 too many', 'too many'])
  test(`452 ${text} waits where another transaction would end alike: nobody has the message, or the hop wants less mail`, () => {
    const tooMany = said(452, text);
    assert.deepEqual(sorted(tooMany), ['waits']);
    assert.deepEqual(sorted(tooMany, taken), ['waits', 'taken']);
    assert.deepEqual(sorted(said(451, '4.7.1 no', 'DATA'), tooMany), ['waits', 'waits']);
    assert.deepEqual(sorted(taken, said(452, `${text} recipients from your address`)), ['taken', 'waits']);
    assert.deepEqual(sorted(taken, said(452, text, 'DATA for one recipient')), ['taken', 'waits']);
  });

test('5.5.3 goes alone wherever it stands; alone it is final', () => {
  for (const code of [550, 552, 554])
    assert.deepEqual(sorted(said(code, '5.5.3 too many'), taken), ['alone', 'taken']);
  assert.deepEqual(sorted(said(552, '5.5.3 too many')), ['final']);
  assert.deepEqual(sorted(said(552, 'too many')), ['final']);
});

test('a mailbox that is full, a message that is too large, and any other refusal are final at once', () => {
  for (const status of ['5.2.2', '5.2.3', '5.3.4', '5.1.1'])
    assert.deepEqual(sorted(taken, said(552, `${status} no`)), ['taken', 'final']);
  assert.deepEqual(sorted(taken, said(550, 'no')), ['taken', 'final']);
  for (const [code, text] of [
    [452, '4.3.1 full'],
    [452, '4.2.2 full'],
    [450, 'later'],
    [451, 'too many'],
  ] as const)
    assert.deepEqual(sorted(taken, said(code, text)), ['taken', 'waits']);
});

test('a recipient keeps the provider of its last attempt until another one is found', () => {
  const address = 'a@example.com';
  const record: QueueRecord = {
    from: '',
    recipients: [{ address, state: 'queued', provider: 'slow' }],
    receivedAt: 1,
    smtpUtf8: false,
    eightBit: false,
    bytes: 1,
    crc: 1,
    body: 'store',
  };
  const after = (shared: { name: string; retry: Retry | null } | undefined) => {
    const target = { destination: { key: 'example.com' }, shared };
    const facts = { tellsSender: false, now: 2, target, isAway: true };
    const { left } = applyVerdicts(record, new Map([[address, said(451, 'later')]]), facts);
    return left[0]?.provider;
  };
  const retry = { backoff: null, expireAfterSeconds: 864_000 };
  assert.equal(after(undefined), 'slow');
  assert.equal(after({ name: 'other', retry }), 'other');
  assert.equal(after({ name: 'other', retry: null }), undefined);
});
