import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { decodeRecord, encodeRecord, newQueueId, type QueueRecord, timeOfQueueId } from './record.ts';

const record: QueueRecord = {
  from: 'me@example.com',
  recipients: [{ address: 'you@example.net', state: 'queued' }],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
  bytes: 10,
  crc: 7,
  body: 'store',
};

test('a record survives its encoding, whatever the addresses', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (from, address) => {
      const original: QueueRecord = {
        ...record,
        from: from.toWellFormed(),
        recipients: [{ address: address.toWellFormed(), state: 'held', reason: '550 no' }],
      };
      const decoded = decodeRecord(encodeRecord(original));
      assert.deepEqual(decoded, { kind: 'message', record: original });
    }),
  );
});

test('a record with any one byte changed is damaged, never mail', () => {
  const bytes = encodeRecord(record);
  for (let at = 0; at < bytes.length; at++) {
    const torn = Buffer.from(bytes);
    torn.writeUInt8((torn.readUInt8(at) + 1) % 256, at);
    assert.equal(decodeRecord(torn).kind, 'damaged', `byte ${at}`);
  }
});

test('a record cut short anywhere is damaged', () => {
  const bytes = encodeRecord(record);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeRecord(bytes.subarray(0, length)).kind, 'damaged', `${length} bytes`);
  }
});

test('a record of a later format names both formats', () => {
  const bytes = encodeRecord(record);
  bytes.writeUInt8(9, 0);
  const decoded = decodeRecord(bytes);
  assert.ok(decoded.kind === 'damaged' && /format 9.*reads 1/.test(decoded.message));
});

test('queue ids are printable, sort by time, differ, and tell their time', () => {
  const now = Date.UTC(2026, 10, 24);
  const ids = Array.from({ length: 1000 }, (_, index) => newQueueId(now + index));
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.toSorted(), ids);
  assert.ok(ids.every((id) => /^[0-9a-v]{16}$/.test(id)));
  assert.equal(timeOfQueueId(ids[5] ?? ''), now + 5);
  assert.equal(new Set(Array.from({ length: 1000 }, () => newQueueId(now))).size, 1000);
});
