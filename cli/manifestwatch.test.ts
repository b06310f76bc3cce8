import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
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

// In a process of its own, because the system would block the thread that reads the pipe.
test('a pipe in a folder is not waited for either', () => {
  const folder = join(dir, 'with-pipe');
  mkdirSync(folder);
  execFileSync('mkfifo', [join(folder, 'pipe.yaml')]);
  const module = JSON.stringify(new URL('manifestwatch.ts', import.meta.url).href);
  const program = `import { ManifestWatch } from ${module}; new ManifestWatch(${JSON.stringify(folder)})`;
  const { status } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  assert.equal(status, 0);
});
