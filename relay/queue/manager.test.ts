/** The queue over a real spool: what is delivered, what waits and what it tells meanwhile. Hops answer as each test says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  enter,
  enterFrom,
  enterWith,
  events,
  loginRefused,
  queuedIn,
  runnerWith,
  spool,
  unreachable,
} from '#test/kit/managerrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { notOffered } from '../delivery/requiretls.ts';
import { NO_LOGINS } from '../task/messages.ts';

test('what was in the spool and what comes later is delivered once and goes', async () => {
  const sent: string[] = [];
  const manager = runnerWith((_hop, parcel) => {
    sent.push(...parcel.to);
    return all(parcel, 250);
  });
  await enter('a@x.example');
  await manager.start();
  const later = await enter('b@x.example');
  manager.add(later);
  manager.add(later);
  await eventually(() => spool.depth === 0);
  assert.deepEqual(sent, ['a@x.example', 'b@x.example']);
  assert.deepEqual(manager.figures, {
    depth: 0,
    bytes: 0,
    held: 0,
    oldest: null,
    blockedDestinations: 0,
    deferrals: [],
    logins: NO_LOGINS,
    waits: [],
    slowed: [],
    hasRoom: true,
  });
});

test('hops are tried in order until one answers', async () => {
  const tried: string[] = [];
  const manager = runnerWith((hop, parcel) => {
    tried.push(hop.host);
    return hop.host === 'first' ? unreachable : all(parcel, 250);
  });
  await enter('a@x.example');
  await manager.start();
  await eventually(() => spool.depth === 0);
  assert.deepEqual(tried, ['first', 'second']);
});

test('a dead destination holds up nobody else, is probed by one delivery, and says why', async () => {
  let probes = 0;
  const manager = runnerWith(
    (hop, parcel) => {
      if (hop.host !== 'dead') return all(parcel, 250);
      probes += 1;
      return unreachable;
    },
    () => 1_000_000,
  );
  for (let index = 0; index < 30; index++) await enter(`a${index}@dead.example`);
  await manager.start();
  await eventually(() => probes > 0);
  for (let index = 0; index < 30; index++) manager.add(await enter(`a${index}@x.example`));
  await eventually(() => spool.depth === 30);
  // Twenty deliveries were under way before the first failure. No other one begins during the pause.
  assert.ok(probes <= 20, `${probes}`);
  assert.deepEqual(manager.figures.deferrals, [
    { destination: 'dead:3', cause: 'connect', message: '4.4.1 nobody there' },
  ]);
  await manager.drain(0);
});

test('mail goes out soon after its destination is back', async () => {
  let down = true;
  const manager = runnerWith((_hop, parcel) => (down ? unreachable : all(parcel, 250)));
  for (let index = 0; index < 5; index++) await enter(`a${index}@x.example`);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  down = false;
  await eventually(() => spool.depth === 0);
});

test('an entry that is damaged is set aside, counted, and does not stop the others', async () => {
  const manager = runnerWith((_hop, parcel) => all(parcel, 250));
  const id = await enter('a@x.example');
  const read = spool.read(id);
  assert.ok(read.kind === 'message');
  await spool.settle(id, { ...read.record, crc: read.record.crc + 1 });
  await enter('b@x.example');
  await manager.start();
  await eventually(() => spool.depth === 0);
  assert.equal(manager.figures.held, 1);
  assert.deepEqual(events.map(({ event }) => event).toSorted(), ['delivered', 'set_aside']);
});

/** One delivery is under way, and ends when `answer` is called. */
async function whileOneIsUnderWay() {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const manager = runnerWith(async (_hop, parcel) => {
    begun += 1;
    await gate.promise;
    return all(parcel, 250);
  });
  await enter('a@x.example');
  await manager.start();
  await eventually(() => begun === 1);
  return { manager, answer: () => gate.resolve(), countBegun: () => begun };
}

test('a drain begins nothing more and waits for what is under way', async () => {
  const { manager, answer, countBegun } = await whileOneIsUnderWay();
  const drained = manager.drain(60_000);
  manager.add(await enter('b@x.example'));
  answer();
  await drained;
  assert.deepEqual([countBegun(), spool.depth], [1, 1]);
});

test('a drain that may last for minutes ends soon when the relay stops meanwhile', async () => {
  const { manager, answer } = await whileOneIsUnderWay();
  const drained = manager.drain(600_000);
  void manager.drain(0);
  await drained;
  assert.equal(spool.depth, 1);
  answer();
  await eventually(() => spool.depth === 0);
});

test('a message that was put off keeps its reason, whatever else its destination takes', async () => {
  let now = Date.now();
  const manager = runnerWith(
    (_hop, parcel) => all(parcel, parcel.to[0] === 'full@x.example' ? 452 : 250),
    () => now,
  );
  const full = await enterFrom('me@x.example', 'full@x.example');
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  manager.add(await enter('a@x.example'));
  await eventually(() => spool.depth === 1);
  const read = spool.read(full);
  const [recipient = assert.fail()] = read.kind === 'message' ? read.record.recipients : [];
  assert.equal(manager.findProspect(full, 'me@x.example', recipient).failure?.reply?.line, '452 no');
  now += 6 * 86_400_000;
  await manager.actions.sweep();
  assert.equal(queuedIn(full), 'gone');
  assert.ok(events.some(({ event }) => event === 'returned'));
  await eventually(() => manager.figures.depth === 0);
});

test('a message that ends every session gives way to the others', async () => {
  let now = 1_000_000;
  const manager = runnerWith(
    (_hop, parcel) =>
      parcel.to[0] === 'poison@x.example' ? { ...unreachable, hadSession: true } : all(parcel, 250),
    () => now,
  );
  const poison = await enter('poison@x.example');
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  const other = await enter('a@x.example');
  manager.add(other);
  now += 2_000;
  manager.add(await enter('b@x.example'));
  await eventually(() => spool.depth === 1);
  assert.deepEqual([queuedIn(poison), queuedIn(other)], [['poison@x.example queued'], 'gone']);
});

test('mail that requires TLS, and waits for a dead host, keeps no other mail back and goes by its own schedule', async () => {
  let asked = 0;
  const manager = runnerWith((hop, parcel) => {
    if (hop.host === 'second') return unreachable;
    if (!parcel.requireTls) return all(parcel, 250);
    asked += 1;
    return { ...unreachable, failure: notOffered(hop) };
  });
  for (let index = 0; index < 30; index++) await enterWith({ requireTls: true }, `a${index}@x.example`);
  for (let index = 0; index < 10; index++) await enter(`b${index}@x.example`);
  await manager.start();
  await eventually(() => spool.depth === 30);
  manager.add(await enter('c@x.example'));
  await eventually(() => spool.depth === 30);
  assert.equal(asked, 30);
});

test('mail that is too old goes back, whatever was released, held or refused a login before it', async () => {
  let now = Date.now();
  const manager = runnerWith(
    (hop) => (hop.host === 'dead' ? loginRefused : unreachable),
    () => now,
  );
  const held = await enterFrom('me@x.example', 'held@x.example');
  const waits = await enterFrom('me@x.example', 'a@dead.example');
  const released = await enterFrom('me@x.example', 'b@x.example');
  await manager.start();
  await eventually(
    () => manager.figures.deferrals.length === 1 && manager.figures.logins.refused.length === 1,
  );
  await eventually(async () => (await manager.actions.hold(held)) === 'done');
  await eventually(async () => (await manager.actions.hold(released)) === 'done');
  await manager.actions.release(released);
  await eventually(() => !manager.isDelivering(released));
  now += 6 * 86_400_000;
  await manager.actions.sweep();
  assert.deepEqual(
    [held, waits, released].map((id) => queuedIn(id)),
    [['held@x.example queued'], ['a@dead.example queued'], 'gone'],
  );
});

test('what is being held or removed at this moment is not begun', async () => {
  let tries = 0;
  const manager = runnerWith((_hop, parcel) => {
    tries += 1;
    return all(parcel, 450);
  });
  const [held, removed] = [await enter('a@x.example'), await enter('b@x.example')];
  await manager.start();
  await eventually(() => tries === 2 && !manager.isDelivering(held) && !manager.isDelivering(removed));
  const changes = [manager.actions.hold(held), manager.actions.remove(removed)];
  manager.hurry(() => true);
  assert.deepEqual(await Promise.all(changes), ['done', 'done']);
  await eventually(() => !manager.isDelivering(held) && !manager.isDelivering(removed));
  assert.deepEqual([tries, queuedIn(held), queuedIn(removed)], [2, ['a@x.example queued'], 'gone']);
});

test('what gets nowhere is told with since when, and no more when something went out or was refused for good', async () => {
  let now = 1_000_000;
  let answers = false;
  const manager = runnerWith(
    (_hop, parcel) => (answers ? all(parcel, 250) : unreachable),
    () => now,
  );
  await enter('a@x.example');
  await manager.start();
  await eventually(() => manager.figures.waits.length === 1);
  const [first] = manager.figures.waits;
  assert.deepEqual([first?.configured, first?.since], [true, 1_000_000]);
  now += 3_600_000;
  manager.hurry(() => true);
  await eventually(() => manager.figures.waits[0]?.since === 1_000_000);
  answers = true;
  manager.hurry(() => true);
  await eventually(() => manager.figures.depth === 0);
  assert.deepEqual(manager.figures.waits, []);
});
