import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { formatDate } from './date.ts';

test('a time is written as RFC 5322 has it, whatever was written before', () => {
  const time = fc.integer({ min: 0, max: 4_102_444_800_000 });
  fc.assert(
    fc.property(time, fc.integer({ min: 0, max: 2_000 }), (at, later) => {
      for (const ms of [at, at + later, at]) {
        const text = formatDate(new Date(ms));
        assert.match(text, /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/);
        assert.equal(Date.parse(text), Math.floor(ms / 1000) * 1000);
      }
    }),
  );
});
