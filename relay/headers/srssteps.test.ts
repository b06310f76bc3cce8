import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf, policyOf } from '#test/kit/relayrig.ts';
import type { SrsKeys } from '../addresses/srs.ts';
import type { Addressee } from './envelope.ts';
import { signForwarded } from './srssteps.ts';

const KEYS: SrsKeys = { key: 'a key', old: [] };
const srs = { domain: 'y.example', secret: 'srs' };
const policy = policyOf({ acceptDomains: ['y.example'] }, {}, { addresses: addressesOf({ srs }) });

function sign(
  to: Addressee,
  { from = 'eve@x.example', isSubmitted = false, isKeyed = true, beside = [] as readonly Addressee[] } = {},
) {
  const done = signForwarded(policy, isKeyed ? KEYS : undefined, isSubmitted)?.all?.(
    { from, to: [...beside, to] },
    { sender: from, at: 0 },
  );
  assert.ok(done);
  return done.kind === 'changed' ? done.to : done.refusal.cause;
}
const senderOf = (...given: Parameters<typeof sign>) => {
  const signed = sign(...given);
  return typeof signed === 'string' ? signed : signed.from.slice(0, 5);
};

test('a message that leaves our domains is signed, and its sender is kept for reports', () => {
  const signed = sign({ address: 'ann@out.example', given: ['ann@y.example'] });
  assert.ok(typeof signed !== 'string');
  assert.match(signed.from, /^SRS0=.*=x\.example=eve@y\.example$/);
  assert.equal(signed.unsigned, 'eve@x.example');
});

test('so is a copy of mail of strangers, not one of mail that comes from here anyway', () => {
  const copy = { address: 'log@out.example', isCopy: true };
  assert.equal(senderOf(copy), 'SRS0=');
  assert.equal(senderOf(copy, { isSubmitted: true }), 'eve@x');
  assert.equal(
    senderOf({ ...copy, given: ['ann@y.example'] }, { isSubmitted: true }),
    'eve@x',
    'one box for all',
  );
  assert.equal(senderOf({ address: 'log@y.example', isCopy: true }), 'eve@x');
  assert.equal(senderOf(copy, { from: 'bob@y.example' }), 'bob@y');
});

test('a copy beside other recipients leaves them the sender that wrote to them', () => {
  const copy = { address: 'log@out.example', isCopy: true };
  const [own, forwarded] = [
    { address: 'ann@y.example' },
    { address: 'bob@out.example', given: ['bob@y.example'] },
  ];
  assert.equal(senderOf(copy, { beside: [own] }), 'eve@x');
  assert.equal(senderOf(copy, { beside: [own], isKeyed: false }), 'eve@x', 'no key is needed');
  assert.equal(senderOf(copy, { beside: [{ address: 'log@y.example', isCopy: true }] }), 'SRS0=');
  assert.equal(senderOf(copy, { beside: [own, forwarded] }), 'SRS0=', 'one of them leaves our domains');
});

test('mail to a recipient that nothing has changed keeps its sender', () => {
  assert.deepEqual(sign({ address: 'ann@out.example' }), {
    from: 'eve@x.example',
    to: [{ address: 'ann@out.example' }],
  });
});

test('without a key a copy that leaves waits too', () => {
  assert.equal(sign({ address: 'log@out.example', isCopy: true }, { isKeyed: false }), 'unreadable');
});
