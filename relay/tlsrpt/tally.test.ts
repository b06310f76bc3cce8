/** The counts of a day: what is counted, how it is bounded, and that no session gets lost among those that are counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_CAUSES, makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { NO_FINDINGS, type TlsFindings } from '../delivery/tlsfindings.ts';
import { RESULT_TYPES } from './report.ts';
import { judgeSession } from './results.ts';
import { findDayEnd, Tally } from './tally.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');
const deps = { wall: () => NOW, random: () => 0.5 };
const DANE: TlsFindings = {
  ...NO_FINDINGS,
  dane: {
    kind: 'records',
    base: 'mx.good.example',
    records: [{ usage: 3, selector: 1, matching: 1, data: 'ab01' }],
  },
};
const STS: TlsFindings = {
  ...NO_FINDINGS,
  sts: { kind: 'policy', mode: 'testing', mxPatterns: ['*.good.example'], maxAgeSeconds: 86_400 },
};

const session = (changes: Partial<Parameters<typeof judgeSession>[0]> = {}) => ({
  domain: 'good.example',
  mxHost: 'mx.good.example',
  address: '192.0.2.1',
  findings: NO_FINDINGS,
  failure: null,
  ...changes,
});

const failureOf = (cause: (typeof FAILURE_CAUSES)[number]) =>
  makeFailure({ cause, status: '4.7.5', text: 'it failed' });

test('each cause is a result type of the RFC, or says nothing of TLS', () => {
  const results = FAILURE_CAUSES.map((cause) => {
    const failure = judgeSession(session({ failure: failureOf(cause) }))?.failure;
    return `${cause}: ${failure ? `${failure.type}${failure.code ? ` (${failure.code})` : ''}` : '-'}`;
  });
  assert.deepEqual(results, [
    'dns: -',
    'connect: -',
    'greeting: -',
    'starttls-missing: starttls-not-supported',
    'handshake: validation-failure (handshake)',
    'certificate-host-mismatch: certificate-host-mismatch',
    'certificate-expired: certificate-expired',
    'certificate-untrusted: certificate-not-trusted',
    'tlsa-invalid: tlsa-invalid',
    'dnssec-invalid: dnssec-invalid',
    'dane-required: dane-required',
    'sts-policy-fetch-error: sts-policy-fetch-error',
    'sts-policy-invalid: sts-policy-invalid',
    'sts-webpki-invalid: sts-webpki-invalid',
    'sts-mx-mismatch: validation-failure (sts-mx-mismatch)',
    'requiretls: -',
    'login: -',
    'policy: -',
    'reply: -',
    'local: -',
  ]);
  for (const type of RESULT_TYPES)
    assert.ok(
      results.some((one) => one.includes(`: ${type}`)),
      type,
    );
});

test('the policy that a session was held to: DANE goes before MTA-STS', () => {
  const policyOf = (findings: TlsFindings) => judgeSession(session({ findings }))?.policy;
  assert.deepEqual(policyOf({ ...STS, dane: DANE.dane }), {
    'policy-type': 'tlsa',
    'policy-string': ['3 1 1 ab01'],
    'policy-domain': 'mx.good.example',
  });
  assert.deepEqual(policyOf(STS), {
    'policy-type': 'sts',
    'policy-string': ['version: STSv1', 'mode: testing', 'mx: *.good.example', 'max_age: 86400'],
    'policy-domain': 'good.example',
    'mx-host': ['*.good.example'],
  });
  assert.deepEqual(policyOf(NO_FINDINGS), {
    'policy-type': 'no-policy-found',
    'policy-domain': 'good.example',
  });
});

test('the policy domain of DANE is that of the TLSA records, and the report goes to the domain of the mail', () => {
  const base = 'mx.provider.example';
  for (const [dane, policyDomain] of [
    [{ kind: 'records', base, records: [] }, base],
    [{ kind: 'unusable', base }, base],
    [{ kind: 'failed', failure: failureOf('dnssec-invalid') }, 'mx.good.example'],
  ] as const) {
    const result = judgeSession(session({ findings: { ...NO_FINDINGS, dane } }));
    assert.deepEqual(
      [result?.domain, result?.policy['policy-type'], result?.policy['policy-domain']],
      ['good.example', 'tlsa', policyDomain],
    );
    const tally = new Tally({}, deps);
    if (result) tally.add(result, session());
    assert.deepEqual(Object.keys(tally.days['2026-11-28']?.domains ?? {}), ['good.example']);
  }
});

test('a fault of an MTA-STS policy is reported although the mail went out', () => {
  const elsewhere = session({ findings: STS, mxHost: 'mx.other.example' });
  assert.equal(judgeSession(elsewhere)?.failure?.code, 'sts-mx-mismatch');
  const failure = failureOf('sts-policy-fetch-error');
  const unfetched = session({ findings: { ...NO_FINDINGS, sts: { kind: 'failed', failure } } });
  assert.equal(judgeSession(unfetched)?.failure?.type, 'sts-policy-fetch-error');
  assert.equal(judgeSession(unfetched)?.policy['policy-type'], 'sts');
  const withDane = session({ findings: { dane: DANE.dane, sts: { kind: 'failed', failure } } });
  assert.equal(judgeSession(withDane)?.failure, null);
});

test('what is no domain of mail is not counted', () => {
  for (const domain of ['__proto__', 'localhost', 'a b.example', 'x.example/..', ''])
    assert.equal(judgeSession(session({ domain })), undefined, domain);
});

test('reports are due within four hours after the end of the day, in UTC', () => {
  const tally = new Tally({}, { ...deps, random: () => 0.999 });
  const policy = { 'policy-type': 'sts' as const, 'policy-domain': 'good.example' };
  tally.add({ domain: 'good.example', policy, failure: null }, session());
  assert.deepEqual(Object.keys(tally.days), ['2026-11-28']);
  const late = (tally.days['2026-11-28']?.dueAt ?? 0) - Date.parse('2026-11-29T00:00:00Z');
  assert.ok(late > 3 * 3_600_000 && late < 4 * 3_600_000);
  assert.equal(findDayEnd('2026-11-28'), Date.parse('2026-11-29T00:00:00Z'));
});

test('whatever is counted, a domain takes bounded room, sums are right, and a restart changes nothing', () => {
  const one = fc.record({
    domain: fc.constantFrom('good.example', 'other.example'),
    host: fc.nat({ max: 2_000 }),
    type: fc.option(fc.constantFrom(...RESULT_TYPES), { nil: null }),
    strings: fc.nat({ max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 300 }), fc.nat({ max: 300 }), (sessions, restartAt) => {
      let tally = new Tally({}, deps);
      let counted = 0;
      for (const [index, { domain, host, type, strings }] of sessions.entries()) {
        if (index === restartAt) tally = new Tally(JSON.parse(JSON.stringify(tally.days)), deps);
        const policy = {
          'policy-type': 'tlsa' as const,
          'policy-string': Array(strings).fill('3 1 1 '.padEnd(9_000, 'a')),
          'policy-domain': 'mx.example',
        };
        const place = { mxHost: `mx${host}.${'x'.repeat(200)}.example`, address: '192.0.2.1' };
        if (tally.add({ domain, policy, failure: type && { type } }, place)) counted += 1;
      }
      const domains = Object.values(tally.days['2026-11-28']?.domains ?? {});
      let summed = 0;
      for (const { policies } of domains) {
        assert.ok(JSON.stringify(policies).length < 64 * 1024);
        for (const { summary, ...rest } of policies) {
          const details = (rest['failure-details'] ?? []).map((detail) => detail['failed-session-count']);
          const failures = details.reduce((sum, count) => sum + count, 0);
          assert.equal(failures, summary['total-failure-session-count']);
          summed += failures + summary['total-successful-session-count'];
        }
      }
      assert.equal(summed, counted);
    }),
    { numRuns: 60 },
  );
});

test('where there is no room left for hosts, failures are counted without them', () => {
  const tally = new Tally({}, deps);
  const policy = { 'policy-type': 'no-policy-found' as const, 'policy-domain': 'good.example' };
  for (let host = 0; host < 2_000; host++)
    assert.ok(
      tally.add(
        { domain: 'good.example', policy, failure: { type: 'certificate-expired' } },
        { mxHost: `mx${host}.example`, address: null },
      ),
    );
  const [reported] = tally.days['2026-11-28']?.domains['good.example']?.policies ?? [];
  const rest = reported?.['failure-details']?.filter((detail) => !('receiving-mx-hostname' in detail)) ?? [];
  assert.equal(rest.length, 1);
  assert.ok((rest[0]?.['failed-session-count'] ?? 0) > 1_000);
});

test('a session that has no room leaves nothing behind: neither a domain without policies nor a day without domains', () => {
  const tally = new Tally({}, deps);
  const add = (domain: string, bytes: number) => {
    const policy = {
      'policy-type': 'tlsa' as const,
      'policy-string': ['a'.repeat(bytes)],
      'policy-domain': 'mx.example',
    };
    return tally.add({ domain, policy, failure: null }, session());
  };
  assert.ok(!add('large.example', 60_000));
  assert.deepEqual(tally.days, {});
  let count = 0;
  while (add(`d${count}.example`, 40_000)) count += 1;
  for (let one = 0; one < 100; one++) assert.ok(!add(`more${one}.example`, 40_000));
  assert.equal(Object.keys(tally.days['2026-11-28']?.domains ?? {}).length, count);
  // Names take room too.
  let small = 0;
  while (small < 60_000 && add(`${'n'.repeat(60)}.n${small}.example`, 0)) small += 1;
  assert.ok(JSON.stringify(tally.days).length <= 8 * 1024 * 1024 + 1024);
  assert.ok(small < 60_000);
});
