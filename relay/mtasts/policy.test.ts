import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { coversMx } from './policy.ts';
import { readPolicy, readPolicyId } from './policyparser.ts';

const policyOf = (...lines: string[]) => readPolicy(`${lines.join('\r\n')}\r\n`);
const GOOD = ['version: STSv1', 'mode: enforce', 'mx: mx.example.com', 'max_age: 604800'];

test('a policy is read as RFC 8461 section 3.2 writes it', async () => {
  const expected = {
    mode: 'enforce',
    mxPatterns: ['mx.example.com', '*.example.net'],
    maxAgeSeconds: 604_800,
  };
  assert.deepEqual(await policyOf(...GOOD, 'mx: *.Example.Net', 'mx: mx.example.com', 'future_field: x'), {
    kind: 'policy',
    policy: expected,
  });
  assert.equal((await readPolicy(GOOD.join('\n'))).kind, 'policy');
  assert.deepEqual(await policyOf('version: STSv1', 'mode: none', 'max_age: 0'), {
    kind: 'policy',
    policy: { mode: 'none', mxPatterns: [], maxAgeSeconds: 0 },
  });
});

const WRONG: readonly [string, string[], RegExp][] = [
  ['nothing', [], /version/],
  ['another version', ['version: STSv2', ...GOOD.slice(1)], /version/],
  ['no mode', GOOD.filter((line) => !line.startsWith('mode')), /mode/],
  ['an unknown mode', ['mode: maybe', ...GOOD], /mode/],
  ['a mode in capitals', ['mode: Enforce', ...GOOD], /mode/],
  ['no max_age', GOOD.slice(0, 3), /max_age/],
  ['a max_age above a year', [...GOOD.slice(0, 3), 'max_age: 31557601'], /max_age/],
  ['a negative max_age', [...GOOD.slice(0, 3), 'max_age: -1'], /max_age/],
  ['a max_age that is no number', [...GOOD.slice(0, 3), 'max_age: 1e5'], /max_age/],
  ['no mx', GOOD.filter((line) => !line.startsWith('mx')), /mx/],
  ['a wildcard inside', [...GOOD, 'mx: mx.*.example.com'], /mx/],
  ['a wildcard of a part of a label', [...GOOD, 'mx: mx*.example.com'], /mx/],
  ['a wildcard alone', [...GOOD, 'mx: *'], /mx/],
  ['an address', [...GOOD, 'mx: [192.0.2.1]'], /mx/],
  ['a web page', ['<html><body>version: none</body></html>'], /version/],
  ['too many lines', [...GOOD, ...Array(1_000).fill('mx: mx.example.com')], /1000 lines/],
];
for (const [what, lines, reason] of WRONG)
  test(`a policy with ${what} is invalid`, async () => {
    const read = await policyOf(...lines);
    assert.equal(read.kind, 'invalid');
    assert.match(read.kind === 'invalid' ? read.reason : '', reason);
  });

test('a record must be exactly right, and alone', async () => {
  const idOf = (...records: string[]) =>
    readPolicyId(
      'example.com',
      records.map((record) => [record]),
    );
  assert.equal(await idOf('v=STSv1; id=20260101T000000;'), '20260101T000000');
  assert.equal(await idOf('v=spf1 -all', 'v=STSv1; id=1', 'v=STSv2; id=2'), '1');
  assert.equal(await readPolicyId('example.com', [['v=STSv1; ', 'id=ab', 'c;']]), 'abc');
  for (const records of [
    [],
    ['v=STSv1'],
    ['v=STSv1; id='],
    ['v=STSv1; id=a-b'],
    [`v=STSv1; id=${'x'.repeat(33)}`],
    ['V=STSv1; id=1'],
    ['v=STSv1; ID=1'],
    [' v=STSv1; id=1'],
    ['v=STSv1; id=1', 'v=STSv1; id=1'],
  ])
    assert.equal(await idOf(...records), null, JSON.stringify(records));
});

test('the wildcard covers exactly one label', () => {
  const covers = (pattern: string, host: string) => coversMx([pattern], host);
  assert.ok(covers('mx.example.com', 'MX.Example.com.'));
  assert.ok(covers('*.example.com', 'mx.example.com'));
  assert.ok(!covers('*.example.com', 'a.mx.example.com'));
  assert.ok(!covers('*.example.com', 'example.com'));
  assert.ok(!covers('*.example.com', '.example.com'));
  assert.ok(!covers('*.example.com', 'mxexample.com'));
  assert.ok(!covers('*.example.com', '*.example.com'));
  assert.ok(!covers('mx.example.com', 'mx.example.com.evil.example'));
  assert.ok(!covers('example.com', 'mx.example.com'));
  assert.ok(!coversMx([], 'mx.example.com'));
});

const label = fc.stringMatching(/^[a-z0-9]{1,3}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 });

test('a host is covered if and only if its labels are those of a pattern, the first one free behind a wildcard', () => {
  const pattern = fc.record({ isWildcard: fc.boolean(), labels: name });
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 4 }), name, (patterns, host) => {
      const texts = patterns.map(({ isWildcard, labels }) => `${isWildcard ? '*.' : ''}${labels.join('.')}`);
      const expected = patterns.some(({ isWildcard, labels }) =>
        isWildcard ? labels.join() === host.slice(1).join() : labels.join() === host.join(),
      );
      assert.equal(coversMx(texts, host.join('.')), expected);
    }),
  );
});

test('what is read holds the bounds, whatever the text is', async () => {
  const line = fc.oneof(
    fc.constantFrom(...GOOD, 'mode: none', 'max_age: 0', 'mx: *.a', ':', 'mx:', 'max_age: 31557600'),
    fc.string(),
    fc.tuple(fc.constantFrom('mx', 'mode', 'max_age', 'version'), fc.string()).map((pair) => pair.join(':')),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 12 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      async (lines, end) => {
        const read = await readPolicy(lines.join(end));
        if (read.kind === 'invalid') return;
        const { mode, mxPatterns, maxAgeSeconds } = read.policy;
        assert.ok(['enforce', 'testing', 'none'].includes(mode));
        assert.ok(Number.isInteger(maxAgeSeconds) && maxAgeSeconds >= 0 && maxAgeSeconds <= 31_557_600);
        assert.ok(mode === 'none' || mxPatterns.length > 0);
        for (const pattern of mxPatterns) assert.match(pattern, /^(\*\.)?[a-z0-9.-]+$/);
      },
    ),
  );
});

test('64 KiB of the worst text are read without delay', async () => {
  const begin = process.cpuUsage();
  const spaces = ' '.repeat(64_000);
  for (const text of [
    'mx: a\n'.repeat(11_000),
    `mx: ${'a-'.repeat(32_000)}!`,
    `mx: ${'a.'.repeat(32_000)}!`,
    `mx: a${spaces}b`,
    `mx:${'\t '.repeat(32_000)}x y\t`,
  ])
    assert.equal(
      (await policyOf(...GOOD.slice(0, 2), 'max_age: 1', text)).kind,
      'invalid',
      text.slice(0, 20),
    );
  const record = (text: string) => readPolicyId('example.com', [[text]]);
  assert.equal(await record(`v=STSv1;${spaces}id=1`), '1');
  assert.equal(await record(`v=STSv1; a=b${spaces}b; id=1`), null);
  // A parser whose time grows with the square needs many seconds.
  assert.ok(process.cpuUsage(begin).user < 1_000_000);
});
