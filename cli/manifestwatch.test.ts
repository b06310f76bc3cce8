import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { ManifestWatch } from './manifestwatch.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-watch-'));
after(() => rmSync(dir, { recursive: true }));

/** Counts the changes that are told. */
function follow(watch: ManifestWatch) {
  const seen = { changes: 0 };
  const stop = watch.follow(async () => {
    seen.changes += 1;
  });
  return { seen, stop };
}

test('a folder is followed, also where it has the state folder or another one', async () => {
  mkdirSync(join(dir, '.state'));
  const file = join(dir, 'relay.yaml');
  writeFileSync(file, 'one');
  const { seen, stop } = follow(new ManifestWatch(dir));
  writeFileSync(join(dir, 'notes.txt'), 'no manifest');
  writeFileSync(file, 'two');
  await until('the change is told', () => seen.changes === 1);
  rmSync(file);
  await until('the end of the file is told', () => seen.changes === 2);
  stop();
});

test('a change before it is followed is told too', async () => {
  const file = join(dir, 'early.yaml');
  writeFileSync(file, 'one');
  const watch = new ManifestWatch(file);
  writeFileSync(file, 'two');
  const { seen, stop } = follow(watch);
  await until('the change is told', () => seen.changes === 1);
  stop();
});

test('standard input and pipes are read once, and nobody waits for them', () => {
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const path of ['-', pipe]) {
    const { seen, stop } = follow(new ManifestWatch(path));
    stop();
    assert.equal(seen.changes, 0);
  }
});
