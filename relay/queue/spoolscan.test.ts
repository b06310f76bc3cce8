import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpoolScan } from './spoolscan.ts';

function makeScan(spool: string[]): { scan: SpoolScan; known: Set<string> } {
  const known = new Set<string>();
  const scan = new SpoolScan({
    list: (after, atMost) => spool.filter((id) => id > after).slice(0, atMost),
    isKnown: (id) => known.has(id),
    take: (id) => known.add(id),
    onError: (error) => assert.fail(error),
  });
  return { scan, known };
}

test('a look before the start delays nothing: the start in the same turn loads everything', async () => {
  const spool = Array.from({ length: 2_500 }, (_, index) => String(index).padStart(16, '0'));
  const { scan, known } = makeScan(spool);
  void scan.look();
  await scan.start(1e6);
  assert.equal(known.size, spool.length);
  scan.stop();
});

test('a look that is asked for while another one runs sees what came before it', async () => {
  const spool = ['0000000000000001'];
  const { scan, known } = makeScan(spool);
  await scan.start(1e6);
  for (let index = 2; index < 200; index++) {
    void scan.look();
    // At each turn of the loop, the one in which the look before it ends too.
    for (let turns = index % 5; turns > 0; turns--) await new Promise((turn) => setImmediate(turn));
    const id = String(index).padStart(16, '0');
    spool.push(id);
    await scan.look();
    assert.ok(known.has(id), id);
  }
  scan.stop();
});

test('a scan that was stopped takes nothing more', async () => {
  const spool: string[] = [];
  const { scan, known } = makeScan(spool);
  await scan.start(1e6);
  scan.stop();
  spool.push('0000000000000001');
  await scan.look();
  assert.equal(known.size, 0);
});

test('one message that cannot be taken keeps no other from its turn, and is tried again', async () => {
  const spool = Array.from({ length: 2_500 }, (_, index) => String(index).padStart(16, '0'));
  const bad = spool[10] ?? '';
  const errors: Error[] = [];
  const known = new Set<string>();
  let isBad = true;
  const scan = new SpoolScan({
    list: (after, atMost) => spool.filter((id) => id > after).slice(0, atMost),
    isKnown: (id) => known.has(id),
    take: (id) => {
      if (id === bad && isBad) throw new Error('it cannot be read');
      known.add(id);
    },
    onError: (error) => errors.push(error),
  });
  await scan.start(1e6);
  assert.deepEqual([known.size, errors.length], [spool.length - 1, 1]);
  isBad = false;
  await scan.look();
  assert.ok(known.has(bad));
  scan.stop();
});
