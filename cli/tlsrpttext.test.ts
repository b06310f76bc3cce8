/** The text of `mailrelay tlsrpt`: no foreign word reaches the terminal as a command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PolicyReport, RESULT_TYPES } from '#relay/tlsrpt/report.ts';
import { describeReceived, describeReport, describeWideReports } from './tlsrpttext.ts';

const report = (policies: PolicyReport[]) => ({
  'organization-name': 'Company-X',
  'date-range': { 'start-datetime': '2016-04-01T00:00:00Z', 'end-datetime': '2016-04-01T23:59:59Z' },
  'contact-info': 'sts-reporting@company-x.example',
  'report-id': '5065427c',
  policies,
});

const policy = (failures: PolicyReport['failure-details']): PolicyReport => ({
  policy: { 'policy-type': 'tlsa', 'policy-string': ['3 1 1 00'], 'policy-domain': 'company-y.example' },
  summary: { 'total-successful-session-count': 7, 'total-failure-session-count': 3 },
  'failure-details': failures,
});

test('a report in plain words', () => {
  const text = describeReport(
    report([
      policy([
        {
          'result-type': 'tlsa-invalid',
          'receiving-mx-hostname': 'mx.company-y.example',
          'receiving-ip': '192.0.2.7',
          'failed-session-count': 2,
        },
        { 'result-type': 'own-word', 'failed-session-count': 1, 'failure-reason-code': 'because' },
      ]),
    ]),
  );
  assert.equal(
    text,
    `from          Company-X, contact sts-reporting@company-x.example
time          2016-04-01T00:00:00Z to 2016-04-01T23:59:59Z
report id     5065427c
domain        company-y.example, policy: DANE
              3 1 1 00
sessions      7 encrypted as the policy wants it, 3 failed
              2x tlsa-invalid: the certificate does not match the TLSA records, at mx.company-y.example [192.0.2.7]
              1x own-word: a reason that the RFC does not name (because)
`,
  );
});

test('each result type of the RFC has words, and a report without policies says so', () => {
  const text = describeReport(
    report([policy(RESULT_TYPES.map((type) => ({ 'result-type': type, 'failed-session-count': 1 })))]),
  );
  assert.doesNotMatch(text, /does not name/);
  assert.match(describeReport(report([])), /none reported/);
});

test('control characters do not reach the terminal', () => {
  const text = describeReport({ ...report([]), 'organization-name': 'a\u001b[2Jb' });
  assert.ok(text.startsWith('from          a?[2Jb,'));
});

test('received reports, each with its time and its signer', () => {
  const received = {
    receivedAt: '2026-11-28T12:00:00.000Z',
    reporter: 'company-x.example',
    report: report([]),
  };
  const text = describeReceived([received, received]);
  assert.equal(
    text.match(/^received {6}2026-11-28T12:00:00\.000Z, signed by company-x\.example$/gm)?.length,
    2,
  );
  assert.match(describeReceived([]), /inbound\.tlsReports\.address/);
});

test('the wide list has a line for each policy, and no cell breaks it', () => {
  const received = { receivedAt: '2016-04-02T01:00:00Z', reporter: 'company-x.example', id: 'x' };
  const odd = { ...report([policy([]), policy([])]), 'organization-name': 'Company\tX\n' };
  const [head = '', ...lines] = describeWideReports([{ ...received, report: odd } as never])
    .trimEnd()
    .split('\n');
  assert.equal(lines.length, 2);
  for (const line of lines) assert.equal(line.split('\t').length, head.split('\t').length);
  assert.match(lines[0] ?? '', /\tCompany\?X\?\t.*\ttlsa\t7\t3$/);
});
