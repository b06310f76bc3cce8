/** The reader of TLS reports: the example of RFC 8460, and everything that a foreign report may contain. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from '#test/kit/property.ts';
import { packReport, readReport, type TlsReport } from './report.ts';

const REPORT: TlsReport = {
  'organization-name': 'Company-X',
  'date-range': { 'start-datetime': '2016-04-01T00:00:00Z', 'end-datetime': '2016-04-01T23:59:59Z' },
  'contact-info': 'sts-reporting@company-x.example',
  'report-id': '5065427c-23d3-47ca-b6e0-946ea0e8c4be',
  policies: [
    {
      policy: {
        'policy-type': 'sts',
        'policy-string': ['version: STSv1', 'mode: testing', 'mx: *.mail.company-y.example'],
        'policy-domain': 'company-y.example',
        'mx-host': ['*.mail.company-y.example'],
      },
      summary: { 'total-successful-session-count': 5326, 'total-failure-session-count': 303 },
      'failure-details': [
        {
          'result-type': 'certificate-expired',
          'sending-mta-ip': '2001:db8:abcd:12::1',
          'receiving-mx-hostname': 'mx1.mail.company-y.example',
          'failed-session-count': 100,
        },
      ],
    },
  ],
};

const read = (value: unknown) => readReport(Buffer.from(JSON.stringify(value)));
const reasonOf = (bytes: Buffer) => {
  const result = readReport(bytes);
  return result.kind === 'invalid' ? result.reason : 'none';
};

/** The report with one field replaced, named by its path; undefined removes it. */
function withField(path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(REPORT) as unknown as Record<string | number, unknown>;
  const last = path.at(-1) ?? '';
  const parent = path
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>((at, key) => at[key] as never, copy);
  parent[last] = value;
  return copy;
}

test('a report is the same after it was packed, and unpacked again', () => {
  assert.deepEqual(readReport(packReport(REPORT)), { kind: 'report', report: REPORT });
  assert.deepEqual(read(REPORT), { kind: 'report', report: REPORT });
});

test('one string in place of a list is read as a list, as the schema of the RFC has it', () => {
  const result = read(withField(['policies', 0, 'policy', 'mx-host'], '*.mail.company-y.example'));
  assert.ok(result.kind === 'report');
  assert.deepEqual(result.report.policies[0]?.policy['mx-host'], ['*.mail.company-y.example']);
});

test('a field that is not right is named', () => {
  for (const [path, value] of [
    [['organization-name'], undefined],
    [['report-id'], ''],
    [['contact-info'], 'x'.repeat(3_000)],
    [['date-range', 'start-datetime'], 'yesterday'],
    [['policies'], {}],
    [['policies', 0, 'policy', 'policy-type'], 'dane'],
    [['policies', 0, 'policy', 'policy-string'], [1]],
    [['policies', 0, 'summary', 'total-failure-session-count'], -1],
    [['policies', 0, 'summary', 'total-successful-session-count'], 1.5],
    [['policies', 0, 'summary', 'total-successful-session-count'], '5'],
    [['policies', 0, 'failure-details', 0, 'failed-session-count'], Number.MAX_SAFE_INTEGER * 2],
    [['policies', 0, 'failure-details', 0, 'result-type'], null],
  ] as const) {
    const reason = reasonOf(Buffer.from(JSON.stringify(withField(path, value))));
    assert.ok(reason.startsWith(path.join('.')), `${path.join('.')}: ${reason}`);
    assert.doesNotMatch(reason, /invalid|expected|received|undefined|docs\/reference/i);
  }
});

test('what is wrong with a field is said in plain words', () => {
  for (const [path, value, words] of [
    [['organization-name'], undefined, 'organization-name is required: add it'],
    [['organization-name'], null, 'organization-name is required: add it'],
    [['report-id'], 5, 'report-id must be text, not 5: put it into quotes'],
    [
      ['date-range', 'start-datetime'],
      'yesterday',
      'date-range.start-datetime must be a time such as 2026-01-31T00:00:00Z, not "yesterday"',
    ],
    [
      ['policies', 0, 'policy', 'policy-type'],
      'dane',
      'policies.0.policy.policy-type must be tlsa, sts or no-policy-found, not "dane"',
    ],
    [['policies', 0, 'policy', 'mx-host'], 7, 'policies.0.policy.mx-host must be a text, or a list of texts'],
  ] as const)
    assert.equal(reasonOf(Buffer.from(JSON.stringify(withField(path, value)))), words);
  assert.equal(reasonOf(Buffer.from('5')), 'the report must be an object with fields, not 5');
});

test('a field that may be absent may be null, and the contact may be absent', () => {
  for (const path of [
    ['contact-info'],
    ['policies', 0, 'policy', 'policy-string'],
    ['policies', 0, 'policy', 'mx-host'],
    ['policies', 0, 'failure-details'],
    ['policies', 0, 'failure-details', 0, 'sending-mta-ip'],
    ['policies', 0, 'failure-details', 0, 'receiving-mx-hostname'],
    ['policies', 0, 'failure-details', 0, 'failure-reason-code'],
  ])
    for (const value of [null, undefined]) {
      const result = read(withField(path, value));
      assert.equal(result.kind, 'report', `${path.join('.')} ${value}`);
      assert.deepEqual(result, read(withField(path, undefined)));
    }
});

test('bytes after the last member of gzip are ignored, and a member that is broken is not', () => {
  const json = Buffer.from(JSON.stringify(REPORT));
  const whole = gzipSync(json);
  for (const tail of ['', '\r\n', '\0\0\0', 'garbage', '\x1f'])
    assert.equal(readReport(Buffer.concat([whole, Buffer.from(tail)])).kind, 'report', tail);
  const members = [gzipSync(json.subarray(0, 100)), gzipSync(json.subarray(100)), Buffer.from('\r\n')];
  assert.equal(readReport(Buffer.concat(members)).kind, 'report');
  // A name, a comment, an extra field and a checksum of the header (RFC 1952 section 2.3).
  const head = Buffer.from(whole.subarray(0, 10));
  head[3] = 2 + 4 + 8 + 16;
  const fields = Buffer.from('\x03\x00abcreport.json\0a comment\0\x12\x34', 'latin1');
  assert.equal(readReport(Buffer.concat([head, fields, whole.subarray(10)])).kind, 'report');
  const broken = Buffer.from(whole);
  broken[broken.length - 8] = (broken[broken.length - 8] ?? 0) ^ 1;
  for (const bytes of [broken, Buffer.concat([whole, broken]), head, whole.subarray(0, -1)])
    assert.equal(reasonOf(bytes), 'it is not gzip, or it is cut short');
  // Without a tail any number is read; before a tail few are looked through.
  const empty = (count: number) => Array<Buffer>(count).fill(gzipSync(''));
  assert.equal(readReport(Buffer.concat([whole, ...empty(1_000)])).kind, 'report');
  assert.equal(readReport(Buffer.concat([whole, ...empty(15), Buffer.from('x')])).kind, 'report');
  assert.equal(
    reasonOf(Buffer.concat([whole, ...empty(16), Buffer.from('x')])),
    'it is not gzip, or it is cut short',
  );
  const large = Buffer.concat(Array(3).fill(gzipSync(Buffer.alloc(6 * 1024 * 1024))));
  assert.equal(reasonOf(large), 'unpacked it is larger than 16 MiB');
});

test('what is packed is bounded before and after it is unpacked', () => {
  assert.equal(reasonOf(gzipSync(Buffer.alloc(64 * 1024 * 1024))), 'unpacked it is larger than 16 MiB');
  assert.equal(reasonOf(Buffer.alloc(17 * 1024 * 1024, ' ')), 'it is larger than 16 MiB');
  const large = Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(5 * 1024 * 1024)]);
  assert.equal(reasonOf(large), 'it is larger than 4 MiB');
  assert.equal(reasonOf(packReport(REPORT).subarray(0, 60)), 'it is not gzip, or it is cut short');
  assert.equal(reasonOf(gzipSync(gzipSync('{}'))), 'it is not JSON');
});

test('values are counted before they are made, and a list is read up to its first fault', () => {
  const items = (item: string, count: number) => `[${Array(count).fill(item).join(',')}]`;
  const reason = 'it has more than 100,000 values';
  assert.equal(reasonOf(Buffer.from(items('{}', 100_000))), reason);
  assert.equal(reasonOf(Buffer.from('['.repeat(100_001))), reason);
  assert.equal(reasonOf(gzipSync(items('1', 1_000_000))), reason);
  const faulty = Array(9_000).fill({});
  const policies = Array(5).fill({ ...REPORT.policies[0], 'failure-details': faulty });
  const first = reasonOf(Buffer.from(JSON.stringify({ ...REPORT, policies })));
  assert.match(first, /^policies\.0\.failure-details\.0\.result-type is required: add it$/);
  const strings = withField(['policies', 0, 'policy', 'mx-host'], Array(2_001).fill('a'));
  assert.equal(
    reasonOf(Buffer.from(JSON.stringify(strings))),
    'policies.0.policy.mx-host must be a text, or a list of texts',
  );
});

test('what is wrong with a report is told apart', () => {
  const causeOf = (text: string) => {
    const result = readReport(Buffer.from(text));
    return result.kind === 'invalid' ? result.cause : 'none';
  };
  assert.deepEqual(['{', '{}', ' '.repeat(17 * 1024 * 1024), '['.repeat(200_000)].map(causeOf), [
    'malformed',
    'malformed',
    'too_large',
    'too_large',
  ]);
});

test('nesting without end is no report', () => {
  assert.notEqual(reasonOf(Buffer.from('['.repeat(1_000_000))), 'none');
  assert.notEqual(reasonOf(Buffer.from(`${'[['.repeat(5_000)}${']]'.repeat(5_000)}`)), 'none');
});

test('whatever comes, the reader gives a report with the right fields, or a reason', () => {
  const path = fc.constantFrom<(string | number)[]>(
    ['organization-name'],
    ['date-range'],
    ['policies'],
    ['policies', 0],
    ['policies', 0, 'policy'],
    ['policies', 0, 'policy', 'policy-domain'],
    ['policies', 0, 'summary'],
    ['policies', 0, 'failure-details'],
    ['policies', 0, 'failure-details', 0],
  );
  const bytes = fc.oneof(
    fc.uint8Array().map((array) => Buffer.from(array)),
    fc.uint8Array().map((array) => Buffer.from([0x1f, 0x8b, ...array])),
    fc.json().map((json) => Buffer.from(json)),
    fc.tuple(path, fc.jsonValue()).map(([at, value]) => gzipSync(JSON.stringify(withField(at, value)))),
  );
  fc.assert(
    fc.property(bytes, (one) => {
      const result = readReport(one);
      if (result.kind === 'invalid') return result.reason !== '';
      // What was read is a report again.
      const again = readReport(packReport(result.report));
      return again.kind === 'report' && result.report.policies.every(({ summary }) => summary !== undefined);
    }),
    { numRuns: 500 },
  );
});
