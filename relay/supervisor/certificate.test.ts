import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePair } from '#test/kit/ca.ts';
import { HOSTNAME } from '#test/kit/relayrig.ts';
import { CertificateInService } from './certificate.ts';

const now = new Date();
const first = await makePair();
const second = await makePair();
const expired = await makePair(HOSTNAME, -1);
const foreign = await makePair('other.example.com');
const HOSTS = [HOSTNAME];

test('a usable pair is taken, the next one replaces it, the same one is nothing new', () => {
  const service = new CertificateInService();
  const kinds = [first, first, second].map((pair) => service.look(pair, HOSTS, now));
  assert.deepEqual(
    kinds.map((seen) => (seen.kind === 'taken' ? `taken ${seen.first}` : seen.kind)),
    ['taken true', 'same', 'taken false'],
  );
  assert.deepEqual(service.pair, second);
  assert.equal(service.problem(HOSTS, now), null);
});

test('a pair that cannot be used never replaces one that can, and the reason says so', () => {
  for (const [bad, reason] of [
    [{ cert: first.cert, key: second.key }, 'KeyMismatch'],
    [{ cert: 'nonsense', key: first.key }, 'CertificateUnreadable'],
    [{}, 'CertificateMissing'],
  ] as const) {
    const service = new CertificateInService();
    service.look(first, HOSTS, now);
    assert.equal(service.look(bad, HOSTS, now).kind, 'refused');
    assert.deepEqual(service.pair, first);
    assert.equal(service.problem(HOSTS, now)?.reason, reason);
    assert.match(service.problem(HOSTS, now)?.message ?? '', /last good pair stays in service/);
    service.look(first, HOSTS, now);
    assert.equal(service.problem(HOSTS, now), null);
  }
});

test('a blemished pair is served and its warning told', () => {
  const service = new CertificateInService();
  assert.equal(service.look(expired, HOSTS, now).kind, 'taken');
  assert.equal(service.problem(HOSTS, now)?.reason, 'CertificateExpired');
  service.look(foreign, HOSTS, now);
  assert.equal(service.problem(HOSTS, now)?.reason, 'HostnameNotCovered');
  assert.equal(service.problem(['other.example.com'], now), null);
});

test('a pair that expires while it is served is told when asked', () => {
  const service = new CertificateInService();
  service.look(first, HOSTS, now);
  const later = new Date(now.getTime() + 31 * 86_400_000);
  assert.equal(service.problem(HOSTS, later)?.reason, 'CertificateExpired');
});
