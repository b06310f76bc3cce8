import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { compareTlsLevels, TLS_LEVELS } from '#crds/tlslevel.ts';
import { wayTo } from '#test/kit/hopway.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import type { NextHop } from './courier.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding, type TlsFindings } from './tlsfindings.ts';
import { decideTls, fallBack, type TlsPolicy } from './tlspolicy.ts';

const BELOW_DANE = TLS_LEVELS.filter((level) => level !== 'Dane');

const policyFor = (...args: Parameters<typeof wayTo>): TlsPolicy => wayTo(...args).policy;

const broken = makeFailure({ cause: 'handshake', status: '4.7.5', text: 'it broke' });

test('Opportunistic over STARTTLS is all that falls back, and only once', () => {
  for (const tlsLevel of BELOW_DANE) {
    for (const implicitTLS of [false, true]) {
      const policy = policyFor(hopTo(25, { tlsLevel, implicitTLS }));
      assert.equal(policy.mayFallBack, tlsLevel === 'Opportunistic' && !implicitTLS);
      assert.equal(fallBack(policy, broken).mayFallBack, false);
      assert.equal(policy.mode, implicitTLS ? 'implicit' : tlsLevel === 'None' ? 'none' : 'starttls');
    }
  }
});

test('a login raises the level to Encrypt, and lowers none', () => {
  const levels = BELOW_DANE.map(
    (tlsLevel) => policyFor(hopTo(25, { tlsLevel, credentialsSecret: 'x' })).level,
  );
  assert.deepEqual(levels, ['Encrypt', 'Encrypt', 'Encrypt', 'Verify']);
  assert.equal(policyFor(hopTo(25, { tlsLevel: 'None', credentialsSecret: 'x' })).mode, 'starttls');
});

test('the names that a certificate must have', () => {
  const names = (host: string, mxOf?: string, serverName: string | null = null) =>
    policyFor({ ...hopTo(25, { tlsLevel: 'Verify', host, serverName }), ...(mxOf ? { mxOf } : {}) }).names;
  assert.deepEqual(names('mx.example.net'), ['mx.example.net']);
  assert.deepEqual(names('mx.example.net.'), ['mx.example.net']);
  assert.deepEqual(names('192.0.2.1'), ['192.0.2.1']);
  assert.deepEqual(names('mx.example.net', undefined, 'other.example'), ['other.example']);
  assert.deepEqual(names('mx.example.net', 'example.net'), ['example.net', 'mx.example.net']);
  assert.deepEqual(names('mx.other.example', 'example.net'), ['example.net']);
  assert.deepEqual(names('badexample.net', 'example.net'), ['example.net']);
});

test('the name of an MX host counts where DNSSEC proves it, for level Verify and for REQUIRETLS (RFC 8689 section 4.2.1)', () => {
  const names = (host: string, changes: Partial<NextHop>, requireTls: boolean) => {
    const decision = decideTls({ ...hopTo(25, { host }), ...changes }, NO_FINDINGS, requireTls);
    assert.ok(decision.kind === 'policy' && decision.policy.level === 'Verify');
    return decision.policy.names;
  };
  for (const requireTls of [true, false]) {
    const floor = requireTls ? {} : { tlsLevel: 'Verify' as const };
    const mxNames = (host: string, isMxSigned: boolean) =>
      names(host, { ...floor, mxOf: 'example.net', isMxSigned }, requireTls);
    assert.deepEqual(mxNames('mx.provider.example', true), ['example.net', 'mx.provider.example']);
    assert.deepEqual(mxNames('mx.provider.example', false), ['example.net']);
    assert.deepEqual(mxNames('mx.example.net', true), ['example.net', 'mx.example.net']);
    assert.deepEqual(mxNames('mx.example.net', false), ['example.net', 'mx.example.net']);
    assert.deepEqual(mxNames('example.net', true), ['example.net']);
    // A smart host: the spec names it.
    assert.deepEqual(names('smtp.provider.example', floor, requireTls), ['smtp.provider.example']);
    const renamed = { ...floor, serverName: 'other.example' };
    assert.deepEqual(names('smtp.provider.example', renamed, requireTls), ['other.example']);
  }
});

test('names are compared without case, in ASCII', () => {
  const policy = (host: string, mxOf: string) =>
    policyFor({ ...hopTo(25, { tlsLevel: 'Verify', host }), mxOf });
  assert.deepEqual(policy('MX.Example.NET.', 'example.net').names, ['example.net', 'mx.example.net']);
  const international = policy('bücher.example', 'bücher.example');
  assert.deepEqual(international.names, ['xn--bcher-kva.example']);
  assert.equal(international.sni, 'xn--bcher-kva.example');
});

test('below Verify nobody is trusted and no name is asked for', () => {
  for (const tlsLevel of ['None', 'Opportunistic', 'Encrypt'] as const) {
    const { trust, names } = policyFor(hopTo(25, { tlsLevel, trustConfigMap: 'roots' }));
    assert.deepEqual([trust, names], [{ kind: 'none' }, []]);
  }
  const { trust } = policyFor(hopTo(25, { tlsLevel: 'Verify', trustConfigMap: 'roots' }));
  assert.deepEqual(trust, { kind: 'pkix', configMap: 'roots' });
});

const records: DaneFinding = {
  kind: 'records',
  base: 'mx.example.net',
  records: [{ usage: 3, selector: 1, matching: 1, data: '00'.repeat(32) }],
};
const enforce: StsFinding = {
  kind: 'policy',
  mode: 'enforce',
  mxPatterns: ['*.example.net', 'mx.other.example'],
  maxAgeSeconds: 86_400,
};

function mx(changes: Partial<NextHop> = {}): NextHop {
  return { ...hopTo(25, { host: 'mx.example.net' }), mxOf: 'example.net', isMxSigned: true, ...changes };
}

test('what is published raises every level, and lowers none', () => {
  for (const tlsLevel of TLS_LEVELS) {
    for (const dane of [
      records,
      { kind: 'unusable', base: 'x' },
      { kind: 'none', why: 'x' },
      { kind: 'off' },
    ] as const) {
      for (const sts of [enforce, { kind: 'none' }] as const) {
        for (const isMxSigned of [true, false]) {
          const decision = decideTls(mx({ tlsLevel, isMxSigned }), { dane, sts });
          if (decision.kind === 'wait') assert.equal(tlsLevel, 'Dane');
          else assert.ok(compareTlsLevels(decision.policy.level, tlsLevel) >= 0);
        }
      }
    }
  }
});

test('mail waits while nobody was asked for a policy, but for DANE, which goes first', () => {
  const failure = makeFailure({ cause: 'dns', status: '4.4.3', text: 'not asked' });
  const sts: StsFinding = { kind: 'unasked', failure };
  for (const tlsLevel of BELOW_DANE)
    assert.deepEqual(decideTls(mx({ tlsLevel }), { dane: { kind: 'off' }, sts }), { kind: 'wait', failure });
  assert.equal(policyFor(mx(), { dane: records, sts }).verifiedBy, 'DANE');
});

test('an unsigned MX proves no name: its TLSA records never replace a chain that level Verify wants', () => {
  const findings = { dane: records, sts: NO_FINDINGS.sts };
  const { level, trust } = policyFor(mx({ isMxSigned: false }), findings);
  assert.deepEqual([level, trust.kind], ['Encrypt', 'tlsa']);
  const verified = policyFor(mx({ isMxSigned: false, tlsLevel: 'Verify' }), findings);
  assert.deepEqual(
    [verified.level, verified.trust.kind, verified.names],
    ['Verify', 'pkix', ['example.net', 'mx.example.net']],
  );
  assert.equal(policyFor(mx({ tlsLevel: 'Verify' }), findings).trust.kind, 'tlsa');
});

test('by DANE-TA a certificate may name the base of the records, the domain, or what the domain is an alias of', () => {
  const names = (changes: Partial<NextHop>) =>
    policyFor(mx(changes), { ...NO_FINDINGS, dane: records }).names;
  assert.deepEqual(names({}), ['mx.example.net', 'example.net']);
  assert.deepEqual(names({ mxAlias: 'end.example' }), ['mx.example.net', 'example.net', 'end.example']);
});

test('hosts that an enforced MTA-STS policy names: the wildcard stands for one label', () => {
  const wanted = (host: string) => decideTls(mx({ host }), { dane: NO_FINDINGS.dane, sts: enforce });
  for (const host of ['mx.example.net', 'MX.Example.net.', 'mx.other.example'])
    assert.equal(wanted(host).kind, 'policy', host);
  for (const host of ['example.net', 'a.mx.example.net', 'other.example', 'badexample.net', '192.0.2.1']) {
    const decision = wanted(host);
    assert.ok(decision.kind === 'wait' && decision.failure.cause === 'sts-mx-mismatch', host);
    assert.equal(decision.failure.permanent, false);
  }
  assert.deepEqual(
    policyFor(mx({ host: 'mx.other.example' }), { dane: NO_FINDINGS.dane, sts: enforce }).names,
    ['mx.other.example'],
  );
});

test('a decision is remembered for the same hop, the same findings and the same wish, and for no others', () => {
  const hop = mx({ host: 'mx.example.net' });
  const found = { dane: records, sts: NO_FINDINGS.sts };
  const first = decideTls(hop, found);
  assert.equal(decideTls(hop, { ...found }), first);
  const others: [NextHop, TlsFindings, boolean][] = [
    [{ ...hop }, found, false],
    [hop, { ...found, dane: { ...records } }, false],
    [hop, { ...found, dane: { kind: 'unusable', base: 'mx.example.net' } }, false],
    [hop, { ...found, sts: { ...enforce } }, false],
    [hop, NO_FINDINGS, false],
    [hop, found, true],
  ];
  for (const [one, findings, requireTls] of others) {
    const fresh = decideTls({ ...one }, findings, requireTls);
    assert.equal(decideTls(hop, found), decideTls(hop, found));
    const decision = decideTls(one, findings, requireTls);
    assert.notEqual(decision, decideTls(hop, found));
    assert.deepEqual(decision, fresh);
  }
});
