/** A TLS report as it leaves the relay (RFC 8460): the JSON, and the mail around it. */
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { NO_FINDINGS } from '#relay/delivery/tlsfindings.ts';
import { renderMail } from '#relay/tlsrpt/mail.ts';
import type { TlsReport } from '#relay/tlsrpt/report.ts';
import { judgeSession } from '#relay/tlsrpt/results.ts';
import { Tally } from '#relay/tlsrpt/tally.ts';
import { assertGolden } from './golden.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');

function countedPolicies() {
  const tally = new Tally({}, { wall: () => NOW, random: () => 0 });
  const place = { domain: 'good.example', mxHost: 'mx.good.example', address: '192.0.2.1' };
  const sts = {
    kind: 'policy',
    mode: 'enforce',
    mxPatterns: ['*.good.example'],
    maxAgeSeconds: 86_400,
  } as const;
  const dane = {
    kind: 'records',
    base: 'mx.good.example',
    records: [{ usage: 3, selector: 1, matching: 1, data: 'ab'.repeat(32) }],
  } as const;
  const failure = makeFailure({ cause: 'certificate-expired', status: '4.7.5', text: 'it expired' });
  for (const session of [
    { ...place, findings: { ...NO_FINDINGS, sts }, failure: null },
    { ...place, findings: { ...NO_FINDINGS, sts }, failure },
    { ...place, findings: { ...NO_FINDINGS, sts }, failure },
    { ...place, mxHost: 'mx.other.example', address: null, findings: { ...NO_FINDINGS, sts }, failure: null },
    { ...place, findings: NO_FINDINGS, failure: null },
    { ...place, findings: { ...NO_FINDINGS, dane }, failure: null },
  ]) {
    const result = judgeSession(session);
    if (result) tally.add(result, session);
  }
  return tally.days['2026-11-28']?.domains['good.example']?.policies ?? [];
}

test('a TLS report is as reviewed', () => {
  const report: TlsReport = {
    'organization-name': 'relay.example.com',
    'date-range': { 'start-datetime': '2026-11-28T00:00:00Z', 'end-datetime': '2026-11-28T23:59:59Z' },
    'contact-info': 'postmaster@example.com',
    'report-id': '7a9f6c1e-0000-4000-8000-000000000000.2026-11-28.good.example@relay.example.com',
    policies: countedPolicies(),
  };
  assertGolden('tlsreport.json', `${JSON.stringify(report, null, 2)}\n`);
  const mail = renderMail({
    id: '06fjg1n2k5q7x9ab',
    from: 'tls-reports@relay.example.com',
    to: 'reports@good.example',
    domain: 'good.example',
    now: new Date('2026-11-29T01:02:03Z'),
    report,
    packed: Buffer.from('the packed report, '.repeat(8)),
    fileName: 'relay.example.com!good.example!1795824000!1795910399!7a9f6c1e0000.json.gz',
  });
  assertGolden('tlsreport.eml', mail.toString().replaceAll('\r\n', '\n'));
});
