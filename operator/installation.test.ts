import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { liveObjects, relayObject } from '#test/fixtures/world.ts';
import { decideClaim, type Installation, isPaused, withStamp } from './installation.ts';
import type { KubeObject } from './kube/client.ts';

const US: Installation = { name: 'mail/us', className: 'blue', isDefault: true };
const NONE = new Map<string, KubeObject>();

interface Stamp {
  readonly className?: string;
  readonly installation?: string;
  readonly takenAs?: string;
  readonly given?: string;
}

function relayWith({ className, installation, takenAs, given }: Stamp): MailRelay {
  const relay = relayObject();
  return {
    ...relay,
    metadata: { ...relay.metadata, annotations: given ? { 'mailrelay.dev/installation': given } : {} },
    spec: { ...relay.spec, ...(className ? { className } : {}) },
    status: { ...(installation ? { installation } : {}), ...(takenAs ? { className: takenAs } : {}) },
  };
}

const CASES: readonly [what: string, stamp: Stamp, us: Partial<Installation>, kind: string][] = [
  ['without class and stamp', {}, {}, 'free'],
  ['without class, and we are no default', {}, { isDefault: false }, 'notOurs'],
  ['of our class, and we are no default', { className: 'blue' }, { isDefault: false }, 'free'],
  ['of another class', { className: 'green' }, {}, 'notOurs'],
  ['with our stamp', { installation: 'mail/us' }, {}, 'ours'],
  ['with the stamp of another', { installation: 'mail/them' }, {}, 'taken'],
  ['of the same release elsewhere', { installation: 'other/us' }, {}, 'taken'],
  ['with our stamp and a class of another', { className: 'green', installation: 'mail/us' }, {}, 'notOurs'],
  ['given our class since another took it', { className: 'blue', installation: 'mail/them' }, {}, 'free'],
  [
    'taken by another of our class',
    { className: 'blue', installation: 'mail/them', takenAs: 'blue' },
    {},
    'taken',
  ],
  ['whose class was taken away', { installation: 'mail/them', takenAs: 'green' }, {}, 'free'],
  ['handed over to us', { installation: 'mail/them', given: 'mail/us' }, {}, 'free'],
  ['handed over to us and taken', { installation: 'mail/us', given: 'mail/us' }, {}, 'ours'],
  ['handed over to another', { installation: 'mail/us', given: 'mail/them' }, {}, 'notOurs'],
  ['handed over to us, of another class', { className: 'green', given: 'mail/us' }, {}, 'notOurs'],
];

for (const [what, stamp, us, kind] of CASES) {
  test(`a MailRelay ${what} is ${kind}`, () => {
    assert.equal(decideClaim(relayWith(stamp), NONE, { ...US, ...us }).kind, kind);
  });
}

test('what a relay made tells whose it is, where its status was lost', () => {
  const relay = relayObject();
  const objects = liveObjects(relay);
  const stampedBy = (installation: string) => {
    const [[name, object]] = [...objects] as [[string, KubeObject]];
    const wanted = withStamp(object as never, { ...relay, status: { installation } });
    return new Map([[name, wanted as unknown as KubeObject]]);
  };
  assert.deepEqual(decideClaim(relay, stampedBy('mail/them'), US), { kind: 'taken', by: 'mail/them' });
  assert.deepEqual(decideClaim(relay, stampedBy('mail/us'), US), { kind: 'free' });
  // Objects of an earlier version, which had no installations.
  assert.deepEqual(decideClaim(relay, objects, US), { kind: 'free' });
});

test('a relay is paused by any word but those for false', () => {
  const paused = (word: string) =>
    isPaused({ metadata: { ...relayObject().metadata, annotations: { 'mailrelay.dev/paused': word } } });
  for (const word of ['true', 'True', 'TRUE', 'true ', 'yes', '1', 'until noon'])
    assert.equal(paused(word), true, word);
  for (const word of ['', ' ', 'false', 'False', 'false\n', 'no', 'No', 'n', 'off', '0'])
    assert.equal(paused(word), false, word);
  assert.equal(isPaused(relayObject()), false);
});
