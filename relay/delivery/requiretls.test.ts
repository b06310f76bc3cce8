import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_CAUSES, type HandshakeReason, makeFailure } from '#crds/failure.ts';
import { findHopCure } from '#crds/hopcures.ts';
import { TLS_LEVELS } from '#crds/tlslevel.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { applyWish, isOfDemand, judgeFor } from './requiretls.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';
import { decideTls } from './tlspolicy.ts';

const sts = {
  kind: 'policy',
  mode: 'enforce',
  mxPatterns: ['mx.example.net'],
  maxAgeSeconds: 86_400,
} as const;
const failure = makeFailure({ cause: 'dns', status: '4.4.3', text: 'no answer' });
const FOUND: readonly TlsFindings[] = [
  { dane: { kind: 'off' }, sts },
  { dane: { kind: 'none', why: 'no record' }, sts },
  { dane: { kind: 'failed', failure }, sts: { kind: 'none' } },
  { dane: { kind: 'unusable', base: 'mx.example.net' }, sts: { kind: 'none' } },
  { dane: { kind: 'off' }, sts: { kind: 'unasked', failure } },
];
const at = (tlsLevel: (typeof TLS_LEVELS)[number]) => ({
  ...hopTo(25, { host: 'mx.example.net', tlsLevel }),
  mxOf: 'example.net',
});

test('TLS-Required: No lowers what was found and never the configured level', async () => {
  for (const tlsLevel of TLS_LEVELS)
    for (const found of FOUND) {
      const wish = { requireTls: false, saysTlsNotRequired: async () => true };
      const lowered = await applyWish(at(tlsLevel), found, wish);
      const expected = tlsLevel === 'Dane' ? { ...NO_FINDINGS, dane: found.dane } : NO_FINDINGS;
      assert.deepEqual(decideTls(at(tlsLevel), lowered), decideTls(at(tlsLevel), expected));
    }
});

test('REQUIRETLS comes before the header, and without the header everything counts', async () => {
  for (const found of FOUND)
    for (const wish of [
      { requireTls: true, saysTlsNotRequired: async () => true },
      { requireTls: false, saysTlsNotRequired: async () => false },
    ])
      assert.deepEqual(await applyWish(at('Opportunistic'), found, wish), found);
});

test('the message is not read where nothing was found', async () => {
  const saysTlsNotRequired = () => assert.fail('it was read');
  const found = await applyWish(at('Encrypt'), NO_FINDINGS, { requireTls: false, saysTlsNotRequired });
  assert.deepEqual(found, NO_FINDINGS);
});

test('REQUIRETLS raises every level to Verify at least', () => {
  for (const tlsLevel of TLS_LEVELS.filter((level) => level !== 'Dane')) {
    const decision = decideTls(at(tlsLevel), NO_FINDINGS, true);
    assert.ok(decision.kind === 'policy');
    const { level, mode, trust, mayFallBack } = decision.policy;
    assert.deepEqual(
      { level, mode, trust: trust.kind, mayFallBack },
      { level: 'Verify', mode: 'starttls', trust: 'pkix', mayFallBack: false },
    );
  }
});

test('what may end by itself waits, and what a hop lacks is final for that message only', () => {
  const final = FAILURE_CAUSES.filter(
    (cause) => judgeFor({ requireTls: true }, makeFailure({ cause, status: '4.7.5', text: 'x' })).permanent,
  );
  assert.deepEqual(final, [
    'starttls-missing',
    'certificate-host-mismatch',
    'certificate-expired',
    'certificate-untrusted',
    'tlsa-invalid',
    'sts-mx-mismatch',
  ]);
  const broken: Record<HandshakeReason, boolean> = {
    'no shared version or cipher': true,
    'its TLS is too weak': true,
    'no TLS in the answer': false,
    'our certificate is refused': false,
    'the connection ended': false,
    other: false,
  };
  for (const [handshake, isFinal] of Object.entries(broken) as [HandshakeReason, boolean][]) {
    const said = makeFailure({ cause: 'handshake', status: '4.7.5', text: 'x', handshake });
    assert.equal(judgeFor({ requireTls: true }, said).permanent, isFinal, handshake);
    assert.deepEqual(judgeFor({ requireTls: false }, said), said);
  }
  for (const cause of FAILURE_CAUSES) {
    const said = makeFailure({ cause, status: '4.7.5', text: 'x' });
    assert.deepEqual(judgeFor({ requireTls: false }, said), said);
  }
});

test('a policy host whose certificate is not valid yet holds all mail of its domain, not that which requires TLS alone', () => {
  const early = (cause: 'sts-webpki-invalid' | 'certificate-expired') =>
    isOfDemand({ requireTls: true }, [makeFailure({ cause, status: '4.7.5', text: 'x', mayPass: true })]);
  assert.deepEqual([early('sts-webpki-invalid'), early('certificate-expired')], [false, true]);
  assert.match(
    findHopCure('sts-webpki-invalid', 'x: certificate is not yet valid') ?? '',
    /^check the clocks/,
  );
});

test('who sent it does not hear what is for the administrator of the relay', () => {
  const said = makeFailure({
    cause: 'handshake',
    status: '4.7.5',
    text: 'the handshake broke: for an old peer set tls.minVersion of its route',
    forSender: 'the handshake broke',
    handshake: 'no shared version or cipher',
  });
  const { text, forSender } = judgeFor({ requireTls: true }, said);
  assert.match(text, /^The sender gave REQUIRETLS: .* set tls\.minVersion/);
  assert.equal(forSender, 'The sender gave REQUIRETLS: the handshake broke');
});
