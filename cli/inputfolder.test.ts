import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { publishFolder } from './inputfolder.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-inputs-'));
after(() => rmSync(dir, { recursive: true }));

test('bytes that are no text are written as they are, and only when they differ', () => {
  const bytes = Buffer.from([0x1f, 0x8b, 0xff, 0xfe, 0]);
  const publish = (packed: Buffer) => {
    publishFolder(dir, { packed, text: 'ü' });
    return realpathSync(join(dir, '..data'));
  };
  const first = publish(bytes);
  assert.deepEqual(readFileSync(join(first, 'packed')), bytes);
  assert.equal(publish(Buffer.from(bytes)), first);
  // A decoder makes one character of both.
  const other = Buffer.from([0x1f, 0x8b, 0xfe, 0xff, 0]);
  assert.deepEqual(readFileSync(join(publish(other), 'packed')), other);
});
