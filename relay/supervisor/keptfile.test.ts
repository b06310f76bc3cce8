/** Files that a restarted relay reads again: a write that the disk takes in part leaves the text before. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keep, readKept } from './keptfile.ts';

const KEEP = `
  import { keep } from '${import.meta.dirname}/keptfile.ts';
  keep(process.argv[1], (event) => console.log(event), 'lastGood', 'b'.repeat(40_000));`;

test('a text that finds no room replaces no text before it, and the log says so', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailrelay-kept-'));
  t.after(() => rmSync(folder, { recursive: true }));
  keep(folder, () => undefined, 'lastGood', 'before');
  // As on a full disk, the write that meets the limit ends early without an error, and the next one fails.
  const limited = [
    '-c',
    'ulimit -f 16; exec "$@"',
    'sh',
    process.execPath,
    '--input-type=module',
    '-e',
    KEEP,
  ];
  assert.equal(execFileSync('sh', [...limited, folder], { encoding: 'utf8' }), 'not_kept\n');
  assert.equal(readKept(folder, 'lastGood'), 'before');
});
