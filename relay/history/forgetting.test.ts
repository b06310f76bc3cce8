/** What the history forgets, and its file: too old, too large, closed, damaged, not writable or not wanted. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { accept, DAY_MS, event, idsFor, open, rig } from '#test/kit/historyrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { newQueueId } from '../spool/record.ts';
import { HISTORY_FILE, History, removeHistory } from './history.ts';

test('it forgets what is too old, with all answers', async () => {
  const history = open();
  for (let count = 0; count < 450; count++) {
    const id = accept(history, 'a@b.example', ['r@partner.example']);
    history.happened([event(id, 'r@partner.example', 'delivered')]);
  }
  rig.now += 6 * DAY_MS;
  const young = accept(history, 'a@b.example', ['r@partner.example']);
  await history.forget();
  assert.equal(idsFor(history, { most: 1_000 }).length, 451);
  rig.now += 2 * DAY_MS;
  await history.forget();
  assert.deepEqual(idsFor(history, { most: 1_000 }), [young]);
});

test('it forgets the oldest when it takes more than its share of the volume', async () => {
  const history = open(300_000);
  for (let count = 0; count < 2_000; count++) {
    rig.now += 1;
    const id = accept(history, 'a@b.example', [`${count}@partner.example`]);
    history.happened([event(id, `${count}@partner.example`, 'delivered')]);
  }
  const newest = idsFor(history, { most: 1 });
  await history.forget();
  const left = idsFor(history, { most: 10_000 });
  assert.ok(left.length > 100 && left.length < 1_500, `${left.length}`);
  assert.deepEqual(left.slice(0, 1), newest);
});

/** Of the file itself: what belongs to no message is found by no query. */
const countAnswers = () =>
  inFile(rig.path, (file) => file.prepare('SELECT count(*) AS count FROM answers').get()?.['count']);

test('answers of a message that is forgotten already are not kept', async () => {
  const history = open();
  const id = accept(history, 'a@b.example', ['r@partner.example']);
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  history.write();
  assert.equal(countAnswers(), 1);
  rig.now += 8 * DAY_MS;
  await history.forget();
  history.happened([event(id, 'r@partner.example', 'deferred')]);
  history.write();
  assert.equal(countAnswers(), 0);
});

test('forgetting ends where nothing is left to forget, however large the file is', async () => {
  const history = open(1);
  await history.forget();
  inFile(rig.path, (file) => {
    const put = file.prepare("INSERT INTO answers VALUES (?, 0, 'r@partner.example', 'deferred', NULL, '')");
    file.exec('BEGIN');
    for (let count = 0; count < 500; count++) put.run(newQueueId(rig.now - DAY_MS));
    file.exec('COMMIT');
  });
  await history.forget();
  accept(history, 'a@b.example', ['r@partner.example']);
  history.write();
  await history.forget();
  assert.equal(countAnswers(), 0, 'they went with the next message');
});

test('closing ends the forgetting, and no later fact opens the file again', async () => {
  const history = open(1);
  for (let count = 0; count < 1_000; count++) accept(history, 'a@b.example', ['r@partner.example']);
  const forgetting = history.forget();
  history.close();
  removeHistory(rig.path);
  await forgetting;
  accept(history, 'a@b.example', ['r@partner.example']);
  history.write();
  await history.forget();
  assert.equal(existsSync(rig.path), false);
});

test('a damaged file, and one of another version, are begun anew', () => {
  for (const damage of [Buffer.alloc(8_192, 'x'), Buffer.from('SQLite format 3\0')]) {
    removeHistory(rig.path);
    writeFileSync(rig.path, damage);
    const history = open();
    const id = accept(history, 'a@b.example', ['r@partner.example']);
    assert.deepEqual(idsFor(history, {}), [id]);
    history.close();
    assert.ok(rig.logged.includes('history_begun_anew'));
  }
});

test('a file that cannot be written costs the facts, is told once, and mail goes on', () => {
  rig.path = join(rig.dirs.stateDir, 'missing', HISTORY_FILE);
  const history = new History({
    path: rig.path,
    keepMs: DAY_MS,
    mostBytes: 2 ** 20,
    log: (name) => rig.logged.push(name),
    wall: () => rig.now,
    clock: () => rig.now,
    onLost: (facts) => {
      rig.lost += facts;
    },
    isQueued: () => false,
  });
  for (let times = 0; times < 3; times++) {
    accept(history, 'a@b.example', ['r@partner.example']);
    history.write();
  }
  assert.match(history.figures.failure ?? '', /unable to open database file/);
  mkdirSync(dirname(rig.path));
  accept(history, 'a@b.example', ['r@partner.example']);
  history.write();
  assert.match(history.figures.failure ?? '', /unable to open/, 'what was lost is told for an hour');
  rig.now += 3_600_000;
  assert.deepEqual(history.figures, { failure: null });
  history.close();
  assert.equal(rig.lost, 3);
  assert.deepEqual(rig.logged, ['history_not_written']);
});

test('where the policy wants none, none is left', () => {
  const history = open();
  accept(history, 'a@b.example', ['r@partner.example']);
  history.close();
  assert.ok(existsSync(rig.path));
  removeHistory(rig.path);
  assert.equal(existsSync(rig.path), false);
});
