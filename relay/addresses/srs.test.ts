import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readMailbox } from './address.ts';
import { isSrs, readReturn, type SrsKeys, signSender } from './srs.ts';

const KEYS: SrsKeys = { key: 'secret', old: [] };
const NOW = Date.UTC(2026, 10, 29);
const DAY_MS = 86_400_000;
const OURS = 'fwd.example';

const sign = (address: string, keys = KEYS) => signSender(address, OURS, keys, NOW);
function back(address: string | undefined, keys = KEYS, now = NOW) {
  const mailbox = readMailbox(address ?? '');
  return mailbox && readReturn(mailbox, keys, now);
}

test('the form is that of the reference, and the hash is that of its key', () => {
  assert.match(sign('Ann@a.example') ?? '', /^SRS0=[\w+/]{4}=[A-Z2-7]{2}=a\.example=Ann@fwd\.example$/);
  assert.equal(back(sign('Ann@a.example')), 'Ann@a.example');
});

test('an address that another forwarder has signed keeps its first forwarder', () => {
  const first = signSender('ann@a.example', 'one.example', { key: 'of one', old: [] }, NOW) ?? '';
  const second = sign(first);
  assert.match(
    second ?? '',
    /^SRS1=[\w+/]{4}=one\.example==[\w+/]{4}=[A-Z2-7]{2}=a\.example=ann@fwd\.example$/,
  );
  assert.equal(back(second), first);
  const third = signSender(second ?? '', 'three.example', { key: 'of three', old: [] }, NOW);
  assert.match(third ?? '', /^SRS1=[\w+/]{4}=one\.example==/);
  assert.equal(back(third, { key: 'of three', old: [] }), first);
});

test('case that a host on the way has changed does not matter', () => {
  const signed = sign('ann@a.example');
  assert.equal(back(signed?.toLowerCase()), 'ann@a.example');
  assert.equal(back(signed?.toUpperCase()), 'ANN@a.example');
});

test('after a roll-over the old key verifies, and the new one signs', () => {
  const before = sign('ann@a.example');
  const rolled = { key: 'new', old: ['secret'] };
  assert.equal(back(before, rolled), 'ann@a.example');
  assert.equal(back(sign('ann@a.example', rolled), { key: 'new', old: [] }), 'ann@a.example');
  assert.equal(back(before, { key: 'new', old: [] }), undefined);
});

test('an address is good for 21 days, also over the end of the time-stamp', () => {
  const wrap = 1024 * 20 * DAY_MS;
  for (const now of [NOW, wrap - DAY_MS, wrap]) {
    const signed = signSender('ann@a.example', OURS, KEYS, now);
    assert.equal(back(signed, KEYS, now + 21 * DAY_MS), 'ann@a.example');
    assert.equal(back(signed, KEYS, now + 22 * DAY_MS), undefined);
    assert.equal(back(signed, KEYS, now - DAY_MS), undefined);
  }
});

test('a changed address is not ours', () => {
  const signed = sign('ann@a.example') ?? '';
  for (const changed of [
    signed.replace('ann@', 'bob@'),
    signed.replace('a.example', 'b.example'),
    signed.replace(/^SRS0=..../, 'SRS0=AAAA'),
    signed.replace(/^SRS0=..../, 'SRS0='),
    'SRS0=@fwd.example',
    'SRS0=a=b=c@fwd.example',
    'SRS1=a=b=c@fwd.example',
  ])
    assert.equal(back(changed), undefined, changed);
});

test('a local part that would be too long stays', () => {
  assert.equal(sign(`${'a'.repeat(50)}@a.example`), undefined);
});

test('any sender comes back, through one forwarder and through two', () => {
  const local = fc.stringMatching(/^[a-zA-Z0-9+=_-]{1,16}$/);
  fc.assert(
    fc.property(local, fc.constantFrom('a.example', 'b-c.example'), (name, domain) => {
      const address = `${name}@${domain}`;
      const mailbox = readMailbox(address);
      assert.ok(mailbox);
      if (isSrs(mailbox)) return;
      const one = signSender(address, 'one.example', { key: 'of one', old: [] }, NOW) ?? '';
      assert.equal(back(one, { key: 'of one', old: [] }), address);
      const two = sign(one);
      if (two !== undefined) assert.equal(back(back(two), { key: 'of one', old: [] }), address);
    }),
  );
});

test('a local part has at most 64 octets, as it is written', () => {
  const most = 64 - 'SRS0=hash=tt=x.example='.length;
  for (const [local, isSigned] of [
    ['a'.repeat(most), true],
    ['a'.repeat(most + 1), false],
    ['ö'.repeat(most / 2), true],
    ['ö'.repeat(most / 2 + 1), false],
    [`"${'a'.repeat(most - 3)} "`, true],
    [`"${'a'.repeat(most - 2)} "`, false],
  ] as const)
    assert.equal(sign(`${local}@x.example`) !== undefined, isSigned, local);
});
