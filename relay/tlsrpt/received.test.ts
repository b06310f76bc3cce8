/** What is kept of the reports of others: bounded in every direction, and summed up by day. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { makeReport } from '#test/kit/reportmail.ts';
import {
  addDiscarded,
  addReport,
  closeDays,
  countResults,
  isKnown,
  labelReporter,
  NOTHING_RECEIVED,
  parseReceived,
  type Received,
  sumSessions,
} from './received.ts';
import { packReport, readReport, type TlsReport } from './report.ts';

const at = (text: string) => new Date(`${text}Z`);
const NOON = at('2026-11-28T12:00:00');

function receive(before: Received, reporter: string, report: TlsReport, now = NOON): Received {
  return addReport(before, { now, reporter, report });
}

test('sessions are counted by result, and details never beyond the total', () => {
  assert.deepEqual(Object.fromEntries(countResults(makeReport())), {
    success: 5326,
    'certificate-expired': 100,
    'starttls-not-supported': 200,
    unspecified: 3,
  });
  const [policy] = makeReport().policies;
  assert.ok(policy);
  const details = [
    { 'result-type': 'own-word', 'failed-session-count': 2 },
    { 'result-type': 'tlsa-invalid', 'failed-session-count': 1_000_000 },
  ];
  const summary = { 'total-successful-session-count': 0, 'total-failure-session-count': 5 };
  const odd = makeReport({ policies: [{ ...policy, summary, 'failure-details': details }] });
  assert.deepEqual(Object.fromEntries(countResults(odd)), { unspecified: 2, 'tlsa-invalid': 3 });
  assert.deepEqual(sumSessions(odd), { successes: 0, failures: 5 });
  const most = { ...summary, 'total-successful-session-count': Number.MAX_SAFE_INTEGER };
  const huge = makeReport({ policies: Array(3).fill({ ...policy, summary: most, 'failure-details': [] }) });
  assert.deepEqual(sumSessions(huge), { successes: Number.MAX_SAFE_INTEGER, failures: 15 });
});

test('a report is known by its id and its reporter', () => {
  const received = receive(NOTHING_RECEIVED, 'a.example', makeReport());
  assert.ok(isKnown(received, { reporter: 'a.example', report: makeReport() }));
  assert.ok(!isKnown(received, { reporter: 'b.example', report: makeReport() }));
  assert.ok(!isKnown(received, { reporter: 'a.example', report: makeReport({ 'report-id': '2' }) }));
  // An id that is cut is known too.
  const long = makeReport({ 'report-id': 'x'.repeat(2_000) });
  assert.ok(isKnown(receive(received, 'a.example', long), { reporter: 'a.example', report: long }));
});

test('each day is told once, when it is over', () => {
  let received = receive(NOTHING_RECEIVED, 'a.example', makeReport());
  received = addDiscarded(received, NOON);
  received = receive(received, 'b.example', makeReport());
  assert.deepEqual(closeDays(received, at('2026-11-28T23:59:59')).over, []);
  const { over, left } = closeDays(received, at('2026-11-29T00:00:00'));
  assert.deepEqual(over, [{ day: '2026-11-28', reports: 2, discarded: 1, successes: 10_652, failures: 606 }]);
  assert.deepEqual(closeDays(left, at('2026-11-30T00:00:00')).over, []);
});

test('fifty reporters have a label of their own, until they are silent for a month', () => {
  let received = NOTHING_RECEIVED;
  for (let n = 0; n < 60; n++) received = receive(received, `r${n}.example`, makeReport());
  assert.deepEqual(
    ['r0.example', 'r49.example', 'r50.example', 'constructor'].map((name) => labelReporter(received, name)),
    ['r0.example', 'r49.example', 'other', 'other'],
  );
  received = receive(received, 'r50.example', makeReport(), at('2027-01-28T12:00:00'));
  assert.deepEqual(Object.keys(received.reporters), ['r50.example']);
});

test('whatever valid report comes, the state is small, and is read again as it was written', () => {
  const text = fc.string({ unit: 'binary', maxLength: 400 });
  const sessions = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const texts = fc.array(text, { maxLength: 30 });
  const detail = fc.record(
    { 'result-type': text, 'failed-session-count': sessions, 'additional-information': text },
    { requiredKeys: ['result-type', 'failed-session-count'] },
  );
  const policy = fc.record({
    policy: fc.record({
      'policy-type': fc.constantFrom('tlsa', 'sts', 'no-policy-found'),
      'policy-domain': text.map((domain) => `x${domain}`),
      'policy-string': texts,
      'mx-host': texts,
    }),
    summary: fc.record({
      'total-successful-session-count': sessions,
      'total-failure-session-count': sessions,
    }),
    'failure-details': fc.array(detail, { maxLength: 30 }),
  });
  const report = fc.record({ id: text, name: text, policies: fc.array(policy, { maxLength: 30 }) });
  fc.assert(
    fc.property(fc.array(report, { maxLength: 5 }), (reports) => {
      let received = NOTHING_RECEIVED;
      for (const { id, name, policies } of reports) {
        const made = makeReport({ 'report-id': `x${id.slice(1)}`, 'organization-name': name });
        const read = readReport(packReport({ ...made, policies } as TlsReport));
        if (read.kind === 'report') received = receive(received, 'a.example', read.report);
      }
      const written = JSON.stringify(received);
      assert.ok(written.length < 2_000_000, `${written.length} bytes`);
      assert.deepEqual(parseReceived(written), received);
    }),
    { numRuns: 15 },
  );
});

test('the last reports are kept, by number and by size', () => {
  let received = NOTHING_RECEIVED;
  const ids = () => received.reports.map(({ report }) => report['report-id']);
  for (let n = 0; n < 205; n++)
    received = receive(received, 'a.example', makeReport({ 'report-id': `${n}` }));
  assert.deepEqual([ids().length, ids()[0], ids().at(-1)], [200, '5', '204']);
  const [policy] = makeReport().policies;
  assert.ok(policy);
  const strings = { ...policy.policy, 'policy-string': Array(10).fill('x'.repeat(200)) };
  const large = { policies: Array(20).fill({ ...policy, policy: strings }) };
  for (let n = 0; n < 100; n++)
    received = receive(received, 'a.example', makeReport({ ...large, 'report-id': `large ${n}` }));
  assert.ok(JSON.stringify(received).length < 1_100_000);
  assert.equal(ids().at(-1), 'large 99');
});
