/** Whose policy a report names, beside what delivery decides: for all that a domain may publish, at each level. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FailureCause, makeFailure } from '#crds/failure.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding, type TlsFindings } from '../delivery/tlsfindings.ts';
import { decideTls, type TlsPolicy } from '../delivery/tlspolicy.ts';
import { newSession, refusedSession, type TlsSession } from '../delivery/tlssession.ts';
import { judgeSession } from './results.ts';

const HOST = 'mx.good.example';
const failureOf = (cause: FailureCause) => makeFailure({ cause, status: '4.7.5', text: 'x' });
const policyOf = (mode: 'enforce' | 'testing', host = HOST): StsFinding => ({
  kind: 'policy',
  mode,
  mxPatterns: [host],
  maxAgeSeconds: 86_400,
});
const STS: readonly StsFinding[] = [
  { kind: 'none' },
  { kind: 'unasked', failure: failureOf('dns') },
  { kind: 'failed', failure: failureOf('sts-policy-fetch-error') },
  policyOf('testing'),
  policyOf('enforce'),
  policyOf('enforce', 'mx.other.example'),
];
const RECORDS: DaneFinding = { kind: 'records', base: HOST, records: [] };
const ABSENT: readonly DaneFinding[] = [NO_FINDINGS.dane, { kind: 'none', why: 'x' }];
const UNUSABLE: DaneFinding = { kind: 'unusable', base: HOST };

const hopAt = (level: string, isMxSigned: boolean) => ({
  ...hopTo(25, {
    host: HOST,
    tlsLevel: level === 'REQUIRETLS' ? 'Opportunistic' : (level as TlsPolicy['level']),
  }),
  mxOf: 'good.example',
  isMxSigned,
});

const told = (session: TlsSession | undefined) =>
  (session && judgeSession(session)?.policy['policy-type'])?.replace('no-policy-found', 'no') ?? '-';

/** Of a hop that gets no connection: the policy. Else that of a session that is good, and of one that fails. */
function tell(level: string, isMxSigned: boolean, findings: TlsFindings): string {
  const hop = hopAt(level, isMxSigned);
  const decision = decideTls(hop, findings, level === 'REQUIRETLS');
  if (decision.kind === 'wait') return told(refusedSession(hop, findings, decision.failure));
  const { policy } = decision;
  const tls = { version: 'TLSv1.3', cipher: 'x', group: null, verified: false };
  const tested = policy.testing === null ? {} : { stsTesting: null };
  const cause = { none: 'handshake', pkix: 'certificate-untrusted', tlsa: 'tlsa-invalid' } as const;
  const failure = failureOf(cause[policy.trust.kind]);
  const results = [
    { kind: 'answered', tls, policy: { ...policy, ...tested } },
    { kind: 'unreachable', failure, hadSession: false },
  ] as const;
  const way = { hop, policy };
  return results.map((result) => told(newSession(way, findings, '192.0.2.1', result))).join('/');
}

test('a report names the policy that delivery decides by', () => {
  const row = (level: string, isMxSigned: boolean, dane: DaneFinding) =>
    STS.map((sts) => tell(level, isMxSigned, { dane, sts })).join(' ');
  // The columns: no MTA-STS, not known in time, failed, testing, enforce, enforce without this host.
  for (const level of ['Opportunistic', 'Encrypt', 'Verify', 'REQUIRETLS']) {
    const isVerified = level === 'Verify' || level === 'REQUIRETLS';
    const less = `tlsa/tlsa - ${isVerified ? 'sts/sts sts/sts' : 'sts/tlsa sts/tlsa'} sts/sts sts`;
    for (const dane of ABSENT)
      assert.equal(row(level, true, dane), 'no/no - sts/sts sts/sts sts/sts sts', level);
    for (const isMxSigned of [true, false]) assert.equal(row(level, isMxSigned, UNUSABLE), less, level);
    assert.equal(row(level, false, RECORDS), less, level);
    assert.equal(row(level, true, RECORDS), Array(6).fill('tlsa/tlsa').join(' '), level);
  }
  // At level Dane no policy of MTA-STS is looked at.
  for (const dane of ABSENT) assert.equal(row('Dane', true, dane), 'no no no no no no');
  assert.equal(row('Dane', true, UNUSABLE), 'tlsa tlsa tlsa tlsa tlsa tlsa');
  assert.equal(row('Dane', false, RECORDS), 'tlsa tlsa tlsa tlsa tlsa tlsa');
  const broken: DaneFinding = { kind: 'failed', failure: failureOf('dnssec-invalid') };
  for (const level of ['Opportunistic', 'Verify', 'Dane'])
    assert.equal(row(level, true, broken), 'tlsa tlsa tlsa tlsa tlsa tlsa', level);
});
