import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printAuthorities } from '#crds/authoritiesfile.ts';
import { certificatesIn } from '#crds/keypair.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { decideTurn, followPublication, type Moment, type NewPair, type Publication } from './publication.ts';

const NAMES = ['relay.mail.svc'];
const [old, fresh] = [await makeAuthority('old'), await makeAuthority('new')];
const [served, renewed, next] = [await old.issue(NAMES), await old.issue(NAMES), await fresh.issue(NAMES)];
const begin = Date.now();
const at = (ms: number): Moment => ({ monotonic: ms, wall: begin + ms });
const WAIT_MS = 1_000;

/** The authorities that are published from these milliseconds on. */
const since = (...steps: readonly (readonly [number, string])[]): Publication =>
  steps.reduce<Publication>(
    (known, [ms, pem]) => followPublication(known, printAuthorities(pem), at(ms)),
    null,
  );
const OLD_ONLY = since([0, old.cert]);
const BOTH = since([0, old.cert], [500, old.cert + fresh.cert]);

const CHANGED: NewPair = {
  served,
  servedAuthority: certificatesIn(old.cert),
  mounted: next,
  authority: certificatesIn(fresh.cert),
  names: NAMES,
};

function turnOf(changes: Partial<NewPair>, publication: Publication, ms: number): string {
  const pair = { ...CHANGED, ...changes };
  const turn = decideTurn(pair, publication, at(ms), WAIT_MS);
  if (turn.kind === 'serve') return 'serve';
  assert.equal(turn.facts.serial, next.serial);
  assert.equal(turn.authority, pair.authority);
  return `wait until ${turn.follows && turn.follows.wall - begin}`;
}

test('a pair of a new authority waits until that has been published long enough', () => {
  assert.equal(turnOf({}, OLD_ONLY, 0), 'wait until null');
  assert.equal(turnOf({}, OLD_ONLY, 100_000_000), 'wait until null');
  assert.equal(turnOf({}, BOTH, 500), 'wait until 1500');
  assert.equal(turnOf({}, BOTH, 1_499), 'wait until 1500');
  assert.equal(turnOf({}, BOTH, 1_500), 'serve');
});

test('all certificates of a new authority must be published', () => {
  const bundle = { authority: certificatesIn(old.cert + fresh.cert) };
  assert.equal(turnOf(bundle, OLD_ONLY, 1_400), 'wait until null');
  assert.equal(turnOf(bundle, BOTH, 1_400), 'wait until 1500');
  const elsewhere = { ...bundle, servedAuthority: null };
  assert.equal(turnOf(elsewhere, since([500, fresh.cert]), 1_400), 'wait until null');
});

test('an authority that is withdrawn and published again begins again', () => {
  const again = followPublication(
    followPublication(BOTH, printAuthorities(old.cert), at(600)),
    printAuthorities(old.cert + fresh.cert),
    at(700),
  );
  assert.equal(turnOf({}, again, 1_500), 'wait until 1700');
});

test('nothing waits without need', async () => {
  const ended = await old.issue(NAMES, { from: -3, until: -1 });
  const later = await old.issue(NAMES, { from: 1 });
  const elsewhere = await old.issue(['other.mail.svc']);
  const mismatch = { cert: next.cert, key: served.key };
  for (const [why, changes, publication] of [
    ['a first start', { served: null }, OLD_ONLY],
    ['a pair that has ended', { served: ended }, OLD_ONLY],
    ['a pair that has not begun', { served: later }, OLD_ONLY],
    ['a pair of other names', { served: elsewhere }, OLD_ONLY],
    ['nobody publishes', {}, null],
    ['an authority that nobody tells', { authority: null }, OLD_ONLY],
    ['the same pair', { mounted: served }, OLD_ONLY],
    ['a pair that cannot be used', { mounted: mismatch }, OLD_ONLY],
    ['no pair', { mounted: {} }, OLD_ONLY],
  ] as const)
    assert.equal(turnOf(changes, publication, 1_400), 'serve', why);
});

test('a renewal by the same authority never waits, published or not', () => {
  const same = { mounted: renewed, authority: certificatesIn(old.cert) };
  for (const publication of [OLD_ONLY, since([0, '']), since([0, fresh.cert])])
    assert.equal(turnOf(same, publication, 0), 'serve');
});

test('a pair that ends soon is still good, and one that ends meanwhile is waited for no more', async () => {
  const ending = { served: await old.issue(NAMES, { from: -89, until: 1 }) };
  assert.equal(turnOf(ending, OLD_ONLY, 0), 'wait until null');
  assert.equal(turnOf(ending, OLD_ONLY, 2 * 86_400_000), 'serve');
});

test('a step of the wall clock does not shorten the wait', () => {
  const stepped: Moment = { monotonic: 600, wall: begin + 3_600_000 };
  assert.equal(decideTurn(CHANGED, BOTH, stepped, WAIT_MS).kind, 'wait');
});

test('a file that this relay does not understand is as none', () => {
  for (const text of [undefined, '', 'text', '{"format": 2}'])
    assert.equal(followPublication(BOTH, text, at(0)), null);
});
