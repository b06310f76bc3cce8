/** Rows of what limits have counted, as text: what is read again, and what is no row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { HOUR_MS } from './paces.ts';
import type { Row } from './shapingnote.ts';
import { decodeRow, encodeRow, mergeBegun } from './shapingrows.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const START = Date.parse('2026-11-29T12:00:00Z');

test('a text that is no row is undefined, and never more than a row', () => {
  const times = { now: 5_000, offset: START };
  const row: Row = { kind: 'begun', name: 'a', windowMs: MINUTE, begun: [4_000, 5_000] };
  const good = encodeRow(row, times) ?? '';
  assert.deepEqual(decodeRow(good, times), { row, isFromFuture: false });
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(good);
      bytes[at] = byte;
      const decoded = decodeRow(bytes.toString(), times)?.row;
      assert.ok(decoded?.kind !== 'begun' || decoded.begun.every((begun) => begun <= times.now));
    }),
  );
  for (const text of [
    '',
    'null',
    '[]',
    '{"kind":"slow"}',
    '{"kind":"begun","name":"a","windowMs":1,"begun":[]}',
  ])
    assert.equal(decodeRow(text, times), undefined, text);
  const many = { kind: 'begun', name: 'a', windowMs: MINUTE, begun: [[START, 1e12]] };
  assert.equal(decodeRow(JSON.stringify(many), times), undefined);
});

test('written and read again, no beginning is earlier, and none is later than its second or minute', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(HOUR_MS - 1), { minLength: 1 }), (ages) => {
      const now = 10 * HOUR_MS;
      const times = { now, offset: START + 123 };
      const begun = ages.map((age) => now - age).toSorted((a, b) => a - b);
      const text = encodeRow({ kind: 'begun', name: 'a', windowMs: HOUR_MS, begun }, times);
      const read = decodeRow(text ?? '', times)?.row;
      assert.ok(read?.kind === 'begun');
      assert.equal(read.begun.length, begun.length);
      for (const [index, at] of read.begun.entries()) {
        const was = begun[index] ?? 0;
        const most = was > now - MINUTE ? SECOND : MINUTE;
        assert.ok(at >= was && at < was + most && at <= now, `${was} ${at}`);
      }
    }),
  );
});

test('two rows of one name count as the larger of both in each second', () => {
  assert.deepEqual(mergeBegun([1, 1, 5], [1, 3, 5, 5]), [1, 1, 3, 5, 5]);
  assert.deepEqual(mergeBegun(undefined, [2, 3]), [2, 3]);
});
