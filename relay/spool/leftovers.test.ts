/** What an earlier life, another store or a person left in the state folder: no mail goes, and no start fails for long. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { enter, folder, LARGE, readBody } from '#test/kit/spoolrig.ts';
import type { Recovered } from './recovery.ts';
import { Spool } from './spool.ts';

interface Start {
  readonly spool: Spool;
  readonly told: readonly Recovered[];
}

/** As the supervisor does it. */
async function start(stateDir: string): Promise<Start> {
  const told: Recovered[] = [];
  const onRecovered = (recovered: Recovered) => told.push(recovered);
  const spool = new Spool(stateDir, undefined, 'late', { isStart: true, onRecovered });
  spool.sweep();
  await spool.restore();
  return { spool, told };
}

interface Left {
  readonly stateDir: string;
  readonly path: string;
  readonly ids: readonly string[];
}

/** A folder as a killed relay leaves it, or one that was stopped. */
async function leave(how: 'killed' | 'stopped', messages = 3): Promise<Left> {
  const [living, stateDir] = [folder(), folder()];
  const spool = new Spool(living);
  const ids = [await enter(spool, Buffer.alloc(LARGE, 'x'))];
  while (ids.length < messages) ids.push(await enter(spool, Buffer.from(`body ${ids.length}`)));
  if (how === 'stopped') await spool.close();
  cpSync(living, stateDir, { recursive: true, filter: (name) => !/\.lock$|-shm$/.test(name) });
  if (how === 'killed') await spool.close();
  return { stateDir, path: join(stateDir, 'queue.db'), ids };
}

async function assertWhole({ spool }: Start, ids: readonly string[]): Promise<void> {
  assert.deepEqual(spool.list(), ids.toSorted());
  for (const id of ids) assert.ok((await readBody(spool, id)).length > 0);
  assert.equal(spool.damaged, 0);
}

function namesIn(stateDir: string, pattern: RegExp): string[] {
  return readdirSync(stateDir).filter((name) => pattern.test(name));
}

/** Of a store whose making was cut: SQLite takes back what it says, and makes the file as short as it was. */
function journalInForce(): Buffer {
  const path = join(folder(), 'other.db');
  const writer = new DatabaseSync(path);
  // The transaction is larger than the cache, so its journal is synced.
  writer.exec('PRAGMA cache_size = 1; BEGIN; CREATE TABLE a (b)');
  const insert = writer.prepare('INSERT INTO a VALUES (zeroblob(4000))');
  for (let row = 0; row < 50; row += 1) insert.run();
  const journal = readFileSync(`${path}-journal`);
  writer.close();
  assert.notEqual(journal[0], 0, 'it is in force');
  return journal;
}

for (const [name, harm] of [
  ['gone', (path: string) => rmSync(path)],
  ['empty', (path: string) => truncateSync(path, 0)],
] as const)
  test(`a log whose file is ${name} gives its mail back, and is kept aside`, async () => {
    const { stateDir, path, ids } = await leave('killed');
    harm(path);
    const begun = await start(stateDir);
    await assertWhole(begun, ids);
    assert.deepEqual(
      begun.told.map(({ kind }) => kind),
      ['rebuilt'],
    );
    assert.equal(namesIn(stateDir, /^queue\.db\.damaged-.*-wal$/).length, 1);
    await begun.spool.close();
  });

/** A log that has a part of the store alone, and the messages that are in it. */
async function leaveLog(): Promise<Left> {
  const [living, stateDir] = [folder(), folder()];
  const first = new Spool(living);
  // So many that neither the roots of the mail nor all of its keys are written again.
  await Promise.all(Array.from({ length: 1_000 }, () => enter(first, Buffer.from('x'))));
  await first.close();
  const second = new Spool(living);
  const ids = [await enter(second, Buffer.from('one')), await enter(second, Buffer.from('two'))];
  copyFileSync(join(living, 'queue.db-wal'), join(stateDir, 'queue.db-wal'));
  await second.close();
  return { stateDir, path: join(stateDir, 'queue.db'), ids };
}

for (const [name, post] of [
  ['', () => undefined],
  [', also after an error,', (path: string) => writeFileSync(`${path}.fault`, 'io: disk I/O error\n')],
] as const)
  test(`a log that has a part of the store alone${name} gives back what is in it, and all of it is told`, async () => {
    const { stateDir, path, ids } = await leaveLog();
    post(path);
    const { spool, told } = await start(stateDir);
    for (const id of ids) assert.ok(spool.list().includes(id));
    assert.ok(told[0]?.kind === 'rebuilt' && told[0].messages === spool.depth);
    await spool.close();
  });

test('a rebuild that was ended between two names gives back what the log alone had', async () => {
  const { stateDir, path, ids } = await leaveLog();
  // It cannot go on behind the first name.
  mkdirSync(`${path}-shm`);
  await assert.rejects(start(stateDir));
  assert.ok(existsSync(`${path}.new`));
  rmSync(`${path}-shm`, { recursive: true });
  const { spool } = await start(stateDir);
  for (const id of ids) assert.ok(spool.list().includes(id));
  await spool.close();
});

for (const how of ['killed', 'stopped'] as const)
  test(`the journal of another store takes nothing of a relay that was ${how}, and is kept aside`, async () => {
    const { stateDir, path, ids } = await leave(how);
    writeFileSync(`${path}-journal`, journalInForce());
    const begun = await start(stateDir);
    await assertWhole(begun, ids);
    assert.equal(namesIn(stateDir, /^queue\.db\.damaged-.*-journal$/).length, 1);
    await begun.spool.close();
  });

test('a store that a loss of power left unfinished is made anew', async () => {
  const { stateDir, path } = await leave('stopped');
  writeFileSync(`${path}-journal`, journalInForce());
  // Its first transaction writes one page.
  truncateSync(path, 4_096);
  const { spool } = await start(stateDir);
  await enter(spool, Buffer.from('the body'));
  assert.equal(spool.depth, 1);
  await spool.close();
  assert.deepEqual(namesIn(stateDir, /journal|damaged/), []);
});

for (const [name, post] of [
  ['empty, as a full disk leaves it,', (path: string) => writeFileSync(path, '')],
  ['a folder', (path: string) => mkdirSync(path)],
] as const)
  test(`a notice that is ${name} tells of an error`, async () => {
    const { stateDir, path, ids } = await leave('killed');
    post(`${path}.fault`);
    const begun = await start(stateDir);
    await assertWhole(begun, ids);
    assert.deepEqual(
      begun.told.map(({ kind }) => kind),
      ['log-renewed'],
    );
    assert.ok(!existsSync(`${path}.fault`));
    await begun.spool.close();
  });

test('a rebuild that was ended before its last step is told of, and its bodies are kept', async () => {
  const { stateDir, path, ids } = await leave('stopped');
  copyFileSync(path, `${path}.new`);
  // It was cut between two names.
  renameSync(path, `${path}.damaged-earlier`);
  writeFileSync(`${path}-journal`, journalInForce());
  writeFileSync(join(stateDir, 'bodies', 'the-only-rest'), 'x');
  const begun = await start(stateDir);
  await assertWhole(begun, ids);
  const [told] = begun.told;
  assert.ok(told?.kind === 'rebuilt' && told.messages === ids.length);
  assert.deepEqual(readdirSync(join(stateDir, 'strays')).toSorted(), ['KEEP', 'the-only-rest']);
  await begun.spool.close();
});

test('a process that opens a store whose rebuild was ended, and knows of no error, ends the rebuild before it takes mail', async () => {
  const { stateDir, path, ids } = await leave('stopped');
  copyFileSync(path, `${path}.new`);
  const task = new Spool(stateDir);
  const taken = await enter(task, Buffer.from('taken meanwhile'));
  await task.close();
  const begun = await start(stateDir);
  await assertWhole(begun, [...ids, taken]);
  assert.deepEqual(begun.told, []);
  await begun.spool.close();
});

for (const [name, harm] of [
  ['gone', (path: string) => rmSync(path)],
  ['empty', (path: string) => truncateSync(path, 0)],
] as const)
  test(`a store that is ${name} is begun anew, which is told, and the bodies beside it are kept`, async () => {
    const { stateDir, path, ids } = await leave('stopped');
    harm(path);
    const { spool, told } = await start(stateDir);
    assert.deepEqual(told, [{ kind: 'begun-anew', bodies: 1 }]);
    assert.deepEqual(readdirSync(join(stateDir, 'strays')).toSorted(), [ids[0], 'KEEP'].toSorted());
    await spool.close();
  });

test('a store that is empty beside the notice of an error is begun anew, and both are told', async () => {
  const { stateDir, path } = await leave('stopped');
  truncateSync(path, 0);
  writeFileSync(`${path}.fault`, 'io: disk I/O error\n');
  const { spool, told } = await start(stateDir);
  assert.deepEqual(told.map(({ kind }) => kind).toSorted(), ['begun-anew', 'log-renewed']);
  await spool.close();
});

test('a store is replaced only when the bodies beside it are kept', async () => {
  const { stateDir, path, ids } = await leave('stopped');
  copyFileSync(path, `${path}.new`);
  const strays = join(stateDir, 'strays');
  writeFileSync(strays, '');
  await assert.rejects(start(stateDir), /"[^"]*strays": it is no folder: move it away$/);
  rmSync(strays);
  const begun = await start(stateDir);
  await assertWhole(begun, ids);
  assert.equal(begun.told[0]?.kind, 'rebuilt');
  assert.deepEqual(readdirSync(strays), ['KEEP']);
  await begun.spool.close();
});

for (const [name, put] of [
  ['that has an old folder', (path: string) => mkdirSync(join(path, 'mine'), { recursive: true })],
  ['that is a file', (path: string) => writeFileSync(path, '')],
] as const)
  test(`a folder of strays ${name} hinders neither a start nor the sweep of a running relay`, async () => {
    const { stateDir, ids } = await leave('stopped');
    const strays = join(stateDir, 'strays');
    put(strays);
    if (existsSync(join(strays, 'mine'))) utimesSync(join(strays, 'mine'), 1, 1);
    writeFileSync(join(stateDir, 'bodies', `left.${2 ** 22 + 1}`), 'x');
    const begun = await start(stateDir);
    begun.spool.sweepLeft();
    await assertWhole(begun, ids);
    await begun.spool.close();
  });

for (const [name, put, sentence] of [
  [
    'queue.db',
    (path: string) => {
      renameSync(path, `${path}.elsewhere`);
      symlinkSync(`${path}.elsewhere`, path);
    },
    /^Error: Cannot open the queue in ".*queue\.db": it is a symbolic link: put /,
  ],
  [
    'bodies',
    (path: string) => {
      rmSync(path, { recursive: true });
      writeFileSync(path, '');
    },
    /^Error: Cannot use the folder ".*bodies": it is no folder: move it away$/,
  ],
  [
    'queue.db.lock',
    (path: string) => writeFileSync(path, 'no lock '.repeat(100)),
    /^Error: Cannot lock ".*queue\.db\.lock": the file is not one of a relay: move it away$/,
  ],
  [
    'queue.db-shm',
    (path: string) => mkdirSync(path),
    /^Error: Cannot open the queue in ".*queue\.db": it, or a file beside it with the same name, cannot be opened for writing: let the user /,
  ],
] as const)
  test(`${name} that is something else is one sentence with its cure`, async () => {
    const { stateDir } = await leave('stopped');
    put(join(stateDir, name));
    await assert.rejects(start(stateDir), sentence);
  });
