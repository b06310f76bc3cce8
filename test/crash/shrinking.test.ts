/** A store that gives its free pages back needs room for that. Where the volume has none, it takes nothing from others. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OpenStore } from '#relay/spool/openstore.ts';

const FREE = 1_000_000;

test('an idle store on a volume that is almost full leaves what is free, and shrinks when there is room', {
  skip: process.getuid?.() !== 0 && 'needs root for a small file system',
}, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', dir]);
  try {
    const path = join(dir, 'queue.db');
    const store = new OpenStore(path, 'early');
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`);
    for (const key of keys) store.transact(({ bodies }) => bodies.put(key, Buffer.alloc(60_000, 1)));
    store.transact(({ bodies }) => bodies.removeAll(keys.slice(40)));
    store.emptyLog();
    const room = () => {
      const { bavail, bsize } = statfsSync(dir);
      return bavail * bsize;
    };
    const grown = statSync(path).size;
    writeFileSync(join(dir, 'filling'), Buffer.alloc(room() - FREE));
    for (let look = 0; look < 3; look++) {
      store.tidyWhenQuiet();
      assert.ok(room() > FREE / 2, `${room()} bytes are left`);
    }
    rmSync(join(dir, 'filling'));
    store.transact(({ bodies }) => bodies.removeAll(keys.slice(39)));
    for (let look = 0; look < 3; look++) store.tidyWhenQuiet();
    assert.ok(statSync(path).size < grown / 2);
    store.close();
  } finally {
    execFileSync('umount', ['--lazy', dir]);
    rmSync(dir, { recursive: true, force: true });
  }
});
