/**
 * The relay reads the policy file of every manifest that the schema accepts. The test uses the values at which parsers
 * disagree, alone and together.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOUNDARIES } from '#test/fixtures/boundaries.ts';
import { changed, document } from '#test/fixtures/manifests.ts';
import fc from '#test/kit/property.ts';
import { effectivePolicy } from './effective.ts';
import { parsePolicy, printPolicy } from './policyfile.ts';
import { parseDuration, parseSize } from './units.ts';
import { validateMailRelay } from './validate.ts';

/** The policy as the relay reads it; undefined if the schema refuses the spec. */
function readBack(spec: Readonly<Record<string, unknown>>) {
  const judged = validateMailRelay(document(changed(spec)));
  if (judged.kind === 'invalid') return undefined;
  const { name, namespace, spec: valid } = judged.manifest;
  return parsePolicy(printPolicy(effectivePolicy({ name, namespace }, valid)));
}

for (const { field, at, values } of BOUNDARIES) {
  test(`${field}: taken by the schema is taken by the relay`, () => {
    const read = values.map((value) => ({ value, parsed: readBack(at(value)) }));
    for (const { value, parsed } of read)
      if (parsed)
        assert.equal(parsed.kind, 'policy', `${field}: ${value}: ${JSON.stringify(parsed).slice(0, 200)}`);
    assert.ok(read.some(({ parsed }) => parsed));
    assert.ok(read.some(({ parsed }) => !parsed));
  });
}

test('any size and any duration of the notation, in every field that takes one', () => {
  const digits = fc.stringMatching(/^[0-9]{1,12}$/);
  const size = fc
    .tuple(digits, fc.constantFrom('', '.5', '.001', '.0'), fc.constantFrom('', 'k', 'Ki', 'G', 'Ti', 'T'))
    .map((parts) => parts.join(''));
  const duration = fc
    .array(fc.tuple(fc.stringMatching(/^[0-9]{1,6}$/), fc.constantFrom('h', 'm', 's')), {
      minLength: 1,
      maxLength: 3,
    })
    .map((parts) => parts.flat().join(''));
  fc.assert(
    fc.property(size, duration, (bytes, time) => {
      for (const { at, values } of BOUNDARIES) {
        if (typeof values[0] !== 'string') continue;
        for (const text of [bytes, time]) {
          const parsed = readBack(at(text));
          if (parsed) assert.equal(parsed.kind, 'policy', text);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('amounts are what they are, and never more than can be counted', () => {
  assert.deepEqual(['0.001', '1.5k', '999999999999Ti', '9999999999999999'].map(parseSize), [
    1,
    1_500,
    Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER,
  ]);
  assert.equal(parseDuration('999999h999999h'), 2 * 999_999 * 3_600);
});

test('a time-out that no timer can be set for is the longest that can, and none is never', () => {
  const idle = (idleTimeout: string) => {
    const parsed = readBack({
      inbound: { listeners: [{ name: 'smtp', port: 25 }], limits: { idleTimeout } },
    });
    return parsed?.kind === 'policy' ? parsed.policy.inbound.limits.idleSeconds : undefined;
  };
  assert.deepEqual(['0s', '5m', '600h', '9999d'].map(idle), [1, 300, 2_147_483, 2_147_483]);
});
