/**
 * Events that a receiver never takes, or that are damaged: they stop no other one, and are dropped and told in the end.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { accept, begin, eventsIn, REFUSED, rig, TAKEN } from '#test/kit/senderrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { Spool } from '../spool/spool.ts';
import type { Posted } from './post.ts';

const ERRED: Posted = { kind: 'erred', reason: 'HTTP status 500' };

test('an event that the receiver refuses for good stops no other one', async () => {
  await accept(50);
  const bad = '9@b.example';
  await accept(1, bad);
  await accept(50);
  const refuses = () => eventsIn(rig.posts.at(-1) ?? assert.fail()).some(({ data }) => data.from === bad);
  rig.answer = () => (refuses() ? { kind: 'refused', reason: 'HTTP status 413' } : TAKEN);
  const sender = begin();
  for (let tries = 0; tries < 30; tries++) {
    await sender.look();
    rig.now += 1_000;
  }
  assert.deepEqual([rig.spool.outbox.size, rig.counts['sent'], rig.counts['dropped']], [1, 100, undefined]);
  for (let tries = 0; tries < 3_000 && rig.spool.outbox.size > 0; tries++) {
    if (tries % 30 === 0) await accept(1);
    await sender.look();
    rig.now += 1_000;
  }
  assert.deepEqual(
    [rig.spool.outbox.size, rig.counts['dropped'], rig.logged.at(-1)],
    [0, 1, 'events_dropped'],
  );
  assert.deepEqual(sender.figures, { waiting: 0, failure: 'HTTP status 413', hasDropped: true });
});

for (const [what, hours, left] of [
  ['waits for a day', 23, 101],
  ['is passed over after it', 26, 1],
] as const)
  test(`an event that is never taken, for a reason that is hardly its own, ${what}`, async () => {
    await accept(1, '9@b.example');
    rig.now += 1;
    await accept(100);
    rig.answer = () =>
      eventsIn(rig.posts.at(-1) ?? assert.fail())[0]?.data.from === '9@b.example' ? REFUSED : TAKEN;
    const sender = begin();
    for (const end = rig.now + hours * 3_600_000; rig.now < end; rig.now += 60_000) await sender.look();
    assert.equal(rig.spool.outbox.size, left);
  });

test('an event that always gets a 500 is found within minutes, and dropped within an hour of others; none of these is lost', async () => {
  await accept(150);
  rig.now += 1_000;
  const bad = '9@b.example';
  await accept(1, bad);
  rig.now += 1_000;
  await accept(150);
  const breaks = () => eventsIn(rig.posts.at(-1) ?? assert.fail()).some(({ data }) => data.from === bad);
  rig.answer = () => (breaks() ? ERRED : TAKEN);
  const sender = begin();
  for (let seconds = 0; seconds < 180; seconds++) {
    await sender.look();
    rig.now += 1_000;
  }
  assert.deepEqual([rig.spool.outbox.size, rig.counts['sent'], rig.counts['dropped']], [1, 300, undefined]);
  let others = 0;
  for (let seconds = 0; seconds < 3_600 && rig.spool.outbox.size > 0; seconds++) {
    if (seconds % 30 === 0) {
      await accept(1);
      others += 1;
    }
    await sender.look();
    rig.now += 1_000;
  }
  assert.deepEqual(
    [rig.spool.outbox.size, rig.counts['dropped'], rig.logged.at(-1)],
    [0, 1, 'events_dropped'],
  );
  assert.equal(rig.counts['sent'], 300 + others);
});

test('a receiver that answers 500 to everything for hours is asked now and then, and gets all in the end', async () => {
  await accept(300);
  rig.answer = () => ERRED;
  const sender = begin();
  for (let seconds = 0; seconds < 7_200; seconds += 2) {
    await sender.look();
    rig.now += 2_000;
  }
  assert.ok(rig.posts.length < 80, `${rig.posts.length} requests`);
  assert.equal(sender.figures.failure, 'HTTP status 500');
  rig.answer = () => TAKEN;
  for (let seconds = 0; seconds < 600; seconds += 2) {
    await sender.look();
    rig.now += 2_000;
  }
  assert.deepEqual([rig.spool.outbox.size, rig.counts['sent'], rig.counts['dropped']], [0, 300, undefined]);
});

test('an event that is damaged in the store is dropped, counted and told; the others go', async () => {
  await accept(3);
  const [, { key } = assert.fail()] = rig.spool.outbox.list(3);
  await rig.spool.close();
  inFile(join(rig.dirs.stateDir, 'queue.db'), (database) =>
    database.prepare('UPDATE events SET value = zeroblob(200) WHERE key = ?').run(key),
  );
  rig.spool = new Spool(rig.dirs.stateDir);
  await begin().look();
  assert.deepEqual([rig.counts['sent'], rig.counts['dropped'], rig.spool.outbox.size], [2, 1, 0]);
  assert.deepEqual(rig.logged, ['events_dropped']);
  assert.deepEqual(
    rig.posts.map((one) => eventsIn(one).length),
    [2],
  );
});
