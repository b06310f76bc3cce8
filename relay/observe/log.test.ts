import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLog } from './log.ts';

test('one event is one line of JSON, whatever a client put into it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailrelay-log-'));
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  const nasty = 'a\r\nb\u2028\u0000"\x1b[31m';
  jsonLog('listener', fd, () => 0)('accepted', { from: nasty, to: [nasty], none: undefined });
  closeSync(fd);
  const text = readFileSync(path, 'utf8');
  assert.equal(text.indexOf('\n'), text.length - 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there
  assert.doesNotMatch(text.trimEnd(), /[\x00-\x1f]/);
  assert.deepEqual(JSON.parse(text), {
    time: '1970-01-01T00:00:00.000Z',
    task: 'listener',
    event: 'accepted',
    from: nasty,
    to: [nasty],
  });
  rmSync(folder, { recursive: true });
});
