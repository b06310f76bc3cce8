/** What reports to domains hear of a session: each result of a connection, under each kind of policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FailureCause, makeFailure } from '#crds/failure.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import type { NextHop } from './courier.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';
import { newSession, refusedSession } from './tlssession.ts';

const failure = (cause: FailureCause) => makeFailure({ cause, status: '4.7.5', text: 'it failed' });
const hop = { ...hopTo(25, { host: 'MX.Good.example.' }), mxOf: 'Good.example' };
const signedHop = { ...hop, isMxSigned: true };
const wayBy = (by: NextHop) => ({ hop: by, policy: { verifiedBy: null } });
const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: null, verified: false };
const answered = { kind: 'answered', tls } as const;
const sts = (mode: 'testing' | 'enforce'): TlsFindings => ({
  ...NO_FINDINGS,
  sts: { kind: 'policy', mode, mxPatterns: ['mx.good.example'], maxAgeSeconds: 86_400 },
});
const told = (result: Parameters<typeof newSession>[3], findings: TlsFindings = NO_FINDINGS, by = hop) => {
  const session = newSession(wayBy(by), findings, '192.0.2.1', result);
  return session && (session.failure?.cause ?? 'success');
};

test('a session of a domain is told with its names in plain form; one of the manifest, or of an address, is not', () => {
  assert.deepEqual(newSession(wayBy(hop), NO_FINDINGS, '192.0.2.1', answered), {
    domain: 'good.example',
    mxHost: 'mx.good.example',
    address: '192.0.2.1',
    findings: NO_FINDINGS,
    failure: null,
  });
  assert.equal(newSession(wayBy(hopTo(25)), NO_FINDINGS, '192.0.2.1', answered), undefined);
  assert.equal(
    newSession(wayBy({ ...hop, mxOf: '192.0.2.1' }), NO_FINDINGS, '192.0.2.1', answered),
    undefined,
  );
  const refused = refusedSession(hop, NO_FINDINGS, failure('sts-mx-mismatch'));
  assert.deepEqual([refused?.address, refused?.failure?.cause], [null, 'sts-mx-mismatch']);
});

test('what a connection came to', () => {
  const fellBack = { level: 'Opportunistic', rule: '', verifiedBy: null } as const;
  assert.equal(told(answered), 'success');
  assert.equal(told({ kind: 'unreachable', failure: failure('connect'), hadSession: true }), 'success');
  const broken = failure('certificate-expired');
  assert.equal(told({ kind: 'unreachable', failure: broken, hadSession: false }), 'certificate-expired');
  const policy = { ...fellBack, fellBack: failure('starttls-missing') };
  assert.equal(told({ kind: 'answered', tls: null, policy }), 'starttls-missing');
  // Level None tries no TLS.
  assert.equal(told({ kind: 'answered', tls: null }), undefined);
});

test('a policy in mode testing hears what would have held mail back, by its own names', () => {
  const judged = (stsTesting: FailureCause | null) => {
    const policy = { level: 'Opportunistic', rule: '', fellBack: null, verifiedBy: null } as const;
    return { ...answered, policy: { ...policy, stsTesting: stsTesting && failure(stsTesting) } };
  };
  for (const cause of [
    'certificate-untrusted',
    'certificate-expired',
    'certificate-host-mismatch',
    'sts-mx-mismatch',
    'handshake',
  ] as const)
    assert.equal(told(judged(cause), sts('testing')), cause);
  assert.equal(told(judged(null), sts('testing')), 'success');
  // What other levels would have said, of other names, does not count.
  const byVerify = { ...judged(null), judgement: { Verify: failure('certificate-host-mismatch') } };
  assert.equal(told(byVerify, sts('testing')), 'success');
  assert.equal(told(judged('certificate-untrusted')), 'success');
  const dane = { kind: 'records', base: 'mx.good.example', records: [] } as const;
  assert.equal(told(judged('certificate-untrusted'), { ...sts('testing'), dane }, signedHop), 'success');
  // Level None tries no TLS.
  assert.equal(told({ ...judged('starttls-missing'), tls: null }, sts('testing')), undefined);
});

test('records that prove less than MTA-STS count only where they made a connection fail', () => {
  const broken = failure('sts-policy-fetch-error');
  const policies = {
    none: NO_FINDINGS.sts,
    enforce: sts('enforce').sts,
    testing: sts('testing').sts,
    unfetched: { kind: 'failed', failure: broken },
  } as const;
  const records = { kind: 'records', base: 'mx.good.example', records: [] } as const;
  const unusable = { kind: 'unusable', base: 'mx.good.example' } as const;
  const policy = { level: 'Encrypt', rule: '', fellBack: null, verifiedBy: null } as const;
  const results = {
    good: answered,
    tested: { ...answered, policy: { ...policy, stsTesting: null } },
    bad: { kind: 'unreachable', failure: failure('tlsa-invalid'), hadSession: false },
  } as const;
  const held = (by: typeof hop, dane: TlsFindings['dane'], name: keyof typeof policies) =>
    Object.entries(results)
      .filter(([, result]) => {
        const session = newSession(wayBy(by), { dane, sts: policies[name] }, '192.0.2.1', result);
        return session?.findings.dane.kind === 'off';
      })
      .map(([result]) => result);
  for (const [by, dane] of [
    [hop, records],
    [hop, unusable],
    [signedHop, unusable],
  ] as const) {
    assert.deepEqual(held(by, dane, 'none'), []);
    assert.deepEqual(held(by, dane, 'enforce'), ['good', 'tested', 'bad']);
    assert.deepEqual(held(by, dane, 'testing'), ['tested']);
    assert.deepEqual(held(by, dane, 'unfetched'), ['good', 'tested']);
  }
  for (const name of ['none', 'enforce', 'testing', 'unfetched'] as const)
    assert.deepEqual(held(signedHop, records, name), [], name);
  const refused = refusedSession(hop, { dane: records, sts: policies.enforce }, failure('sts-mx-mismatch'));
  assert.equal(refused?.findings.dane.kind, 'off');
});
