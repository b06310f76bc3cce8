/** The level that a delivery counts for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';
import { Counters } from '../task/counts.ts';
import type { Judgement } from './courier.ts';
import { countProtection } from './deliverylog.ts';

const failure = makeFailure({ cause: 'handshake', status: '4.7.5', text: 'x' });
const verdicts = [{ kind: 'delivered', reply: '250 ok' }] as const;

function reached(level: TlsLevel, judgement: Judgement, isPlain = false): string | undefined {
  const counters = new Counters();
  const tls = isPlain ? null : { version: 'TLSv1.3', cipher: 'x', group: null, verified: level === 'Verify' };
  const policy = { level, rule: 'x', fellBack: null, verifiedBy: null };
  countProtection(counters, 'a.example', { tls, policy, judgement, verdicts });
  const [key] = Object.keys(counters.take()?.counts ?? {});
  return /^outbound\{(\w+),/.exec(key ?? '')?.[1];
}

test('a delivery counts for the strictest level that it is known to have met', () => {
  assert.equal(reached('Opportunistic', {}, true), 'None');
  assert.equal(reached('Opportunistic', { Encrypt: failure, Verify: failure }), 'Opportunistic');
  assert.equal(reached('Opportunistic', { Encrypt: null, Verify: failure }), 'Encrypt');
  assert.equal(reached('Opportunistic', { Encrypt: null, Verify: null }), 'Verify');
  // An anchor of DANE says nothing of the authorities of level Verify.
  assert.equal(reached('Encrypt', { Encrypt: null }), 'Encrypt');
  assert.equal(reached('Verify', { Encrypt: null, Verify: null }), 'Verify');
  assert.equal(reached('Dane', { Encrypt: null, Verify: null }), 'Dane');
});
