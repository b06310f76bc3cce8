/** What limits have counted survives their process. The store is real, both clocks are those of the test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { Spool } from '../spool/spool.ts';
import { HOUR_MS, Paces } from './paces.ts';
import { ShapingMemory } from './shapingmemory.ts';
import { NO_ROW, type Row } from './shapingnote.ts';
import { SlowDowns } from './slowdowns.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const START = Date.parse('2026-11-29T12:00:00Z');
const A = { key: 'a.example Opportunistic', name: 'a.example' };
const SLOW_DOWN = makeFailure({ cause: 'reply', status: '4.7.0', text: '421 slow down', slowDown: true });
const LIMITS = { connections: 16, messagesPerMinute: 100 };

let dirs: PodDirs;
let spool: Spool;
let wall: number;
let logged: string[];

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
  wall = START;
  logged = [];
});
afterEach(async () => {
  await spool.close();
  dirs.remove();
});

/** A router: its monotonic clock begins anew, at its own time. */
function begin(table: Spool['shaping'] = spool.shaping) {
  const begunAt = wall - 1_000;
  const clock = () => wall - begunAt;
  const life = { stepped: 0 };
  const memory = new ShapingMemory({
    table,
    clock,
    wall: () => wall + life.stepped,
    log: (event, fields) => logged.push(`${event} ${JSON.stringify(fields)}`),
  });
  const [paces, slowDowns] = [new Paces(memory.note), new SlowDowns(memory.note)];
  const remembered = memory.load();
  paces.remember(remembered, clock());
  slowDowns.remember(remembered);
  return { memory, paces, slowDowns, clock, life };
}

type Life = ReturnType<typeof begin>;

/** How many deliveries may begin now, one after the other. */
function beginAll({ paces, clock }: Life, perMinute: number, destination = A): number {
  let begun = 0;
  for (; paces.allowsAt(destination, perMinute, clock()) <= clock() && begun < 1_000; begun++)
    paces.began(destination, perMinute, clock());
  return begun;
}

const keys = () => spool.shaping.list().map(({ key }) => key);

test('a minute that a router has begun goes on in the next one, and ends', async () => {
  const first = begin();
  assert.equal(beginAll(first, 5), 5);
  await first.memory.write();
  wall += 20 * SECOND;
  const next = begin();
  assert.equal(beginAll(next, 5), 0);
  wall += 41 * SECOND;
  assert.equal(beginAll(next, 5), 5);
});

test('a larger or smaller limit of the next router counts what was sent under the one before', async () => {
  const first = begin();
  beginAll(first, 5);
  await first.memory.write();
  const larger = { key: 'a.example Opportunistic 20/8', name: 'a.example' };
  assert.equal(beginAll(begin(), 8, larger), 3);
  assert.equal(beginAll(begin(), 2, { key: 'a.example Verify 20/2', name: 'a.example' }), 0);
  assert.equal(beginAll(begin(), 5, { key: 'b.example', name: 'b.example' }), 5);
});

test('a limit that goes and comes back within its minute counts what it counted before', async () => {
  const first = begin();
  beginAll(first, 5);
  await first.memory.write();
  wall += 20 * SECOND;
  await begin().memory.write();
  wall += 20 * SECOND;
  assert.equal(beginAll(begin(), 5), 0);
});

test('many policies in one minute make no beginning count twice', async () => {
  const first = begin();
  beginAll(first, 4);
  await first.memory.write();
  for (const limit of [8, 9, 10]) {
    wall += SECOND;
    const life = begin();
    assert.equal(
      beginAll(life, limit, { key: `a.example ${limit}`, name: 'a.example' }),
      limit === 8 ? 4 : 1,
    );
    await life.memory.write();
  }
});

test('an hour of a provider goes on, with the minute in it', async () => {
  const first = begin();
  const pace = first.paces.openShared('provider big');
  for (let index = 0; index < 20; index++) {
    pace.began(20, first.clock());
    wall += 2 * MINUTE;
  }
  await first.memory.write();
  const life = begin();
  const next = life.paces.openShared('provider big');
  const at = next.allowsAt({ most: 20, windowMs: HOUR_MS }, life.clock());
  const waitMs = at - life.clock();
  // The first one was 40 minutes ago.
  assert.ok(waitMs >= 20 * MINUTE && waitMs <= 21 * MINUTE, `${waitMs}`);
  assert.equal(next.allowsAt({ most: 20, windowMs: MINUTE }, life.clock()), life.clock());
  wall += HOUR_MS;
  const later = begin();
  assert.equal(
    later.paces.openShared('provider big').allowsAt({ most: 1, windowMs: HOUR_MS }, later.clock()),
    later.clock(),
  );
  await later.memory.write();
  assert.deepEqual(keys(), []);
});

test('who asked for fewer messages gets fewer of the next router too, and recovers at the same time', async () => {
  const first = begin();
  const request = { name: 'provider big', underWay: 16, failure: SLOW_DOWN };
  first.slowDowns.asked('provider big', request, first.clock());
  wall += 2 * MINUTE;
  first.slowDowns.asked('provider big', request, first.clock());
  await first.memory.write();
  wall += MINUTE;
  const next = begin();
  assert.equal(next.slowDowns.apply('provider big', LIMITS, next.clock()).connections, 4);
  assert.equal(next.slowDowns.apply('a.example', LIMITS, next.clock()), LIMITS);
  const [listed] = next.slowDowns.list(next.clock(), wall);
  assert.equal(listed?.since, START);
  assert.equal(listed?.pace, '1/4');
  wall += 4 * MINUTE;
  assert.equal(next.slowDowns.apply('provider big', LIMITS, next.clock()).connections, 8);
  wall += 5 * MINUTE;
  assert.equal(next.slowDowns.apply('provider big', LIMITS, next.clock()), LIMITS);
  await next.memory.write();
  assert.deepEqual(keys(), []);
});

test('a clock that steps back holds mail for one period at most, over any number of starts', async () => {
  const first = begin();
  beginAll(first, 5);
  first.slowDowns.asked('a.example', { name: 'a.example', underWay: 16, failure: SLOW_DOWN }, first.clock());
  await first.memory.write();
  wall -= 24 * HOUR_MS;
  for (let starts = 0; starts < 3; starts++) {
    const life = begin();
    assert.equal(beginAll(life, 5), 0);
    assert.equal(life.slowDowns.apply('a.example', LIMITS, life.clock()).connections, 8);
    await life.memory.write();
    wall += 15 * SECOND;
  }
  wall += 16 * SECOND;
  assert.equal(beginAll(begin(), 5), 5);
  wall += 4 * MINUTE;
  const recovered = begin();
  assert.equal(recovered.slowDowns.apply('a.example', LIMITS, recovered.clock()), LIMITS);
});

test('a step of the clock while a router runs changes nothing for the next one', async () => {
  for (const stepped of [-HOUR_MS, HOUR_MS]) {
    const first = begin();
    const destination = { key: `${stepped}.example`, name: `${stepped}.example` };
    assert.equal(beginAll(first, 5, destination), 5);
    first.life.stepped = stepped;
    wall += 20 * SECOND;
    await first.memory.write();
    wall += stepped;
    assert.equal(beginAll(begin(), 5, destination), 0);
    wall += 41 * SECOND;
    assert.equal(beginAll(begin(), 5, destination), 5);
  }
});

test('nothing is written without a change, and what is over is removed', async () => {
  const writes: string[][] = [];
  const counting = {
    list: () => spool.shaping.list(),
    removeDamaged: () => spool.shaping.removeDamaged(),
    put: (values: ReadonlyMap<string, string | undefined>) => {
      writes.push([...values].map(([key, value]) => `${value ? 'put' : 'remove'} ${key}`));
      return spool.shaping.put(values);
    },
  } as Spool['shaping'];
  const life = begin(counting);
  assert.equal(life.paces.allowsAt(A, 5, life.clock()), life.clock());
  await life.memory.write();
  assert.deepEqual(writes, []);
  beginAll(life, 5);
  await life.memory.write();
  await life.memory.write();
  assert.deepEqual(writes, [[`put begun ${A.key}`]]);
  wall += 2 * MINUTE;
  beginAll(life, 1, { key: 'b', name: 'b' });
  await life.memory.write();
  assert.deepEqual([...(writes[1] ?? [])].sort(), ['put begun b', `remove begun ${A.key}`]);
  wall += 2 * MINUTE;
  await begin(counting).memory.write();
  assert.deepEqual(writes[2], ['remove begun b']);
  await begin(counting).memory.write();
  assert.equal(writes.length, 3);
});

test('a store that cannot be written changes no limit, and the next change writes all', async () => {
  let isFull = true;
  const failing = {
    list: () => {
      throw new Error('no disk');
    },
    put: (values: ReadonlyMap<string, string | undefined>) =>
      isFull ? Promise.reject(new Error('disk full')) : spool.shaping.put(values),
  } as unknown as Spool['shaping'];
  const life = begin(failing);
  assert.equal(beginAll(life, 5), 5);
  await life.memory.write();
  assert.equal(beginAll(life, 5), 0);
  assert.deepEqual(logged, [
    'not_kept {"what":"shaping","message":"no disk"}',
    'not_kept {"what":"shaping","message":"disk full"}',
  ]);
  isFull = false;
  beginAll(life, 1, { key: 'b', name: 'b' });
  await life.memory.write();
  assert.deepEqual(keys(), [`begun ${A.key}`, 'begun b']);
});

test('a write that fails late puts nothing old over what changed meanwhile', async () => {
  const late = Promise.withResolvers<void>();
  let writes = 0;
  const table = {
    list: () => [],
    put: async (values: ReadonlyMap<string, string | undefined>) => {
      writes += 1;
      if (writes > 1) return spool.shaping.put(values);
      await late.promise;
      throw new Error('EIO');
    },
    removeDamaged: async () => 0,
  } as unknown as Spool['shaping'];
  const { memory, clock } = begin(table);
  const row: Row = { kind: 'begun', name: 'a.example', windowMs: MINUTE, begun: [clock()] };
  memory.note('begun a.example', NO_ROW);
  memory.note('begun b.example', () => row);
  const first = memory.write();
  await new Promise(setImmediate); // The first one has begun.
  memory.note('begun a.example', () => row);
  const second = memory.write();
  late.resolve();
  await Promise.all([first, second]);
  await memory.write();
  assert.deepEqual(keys(), ['begun a.example', 'begun b.example']);
});
