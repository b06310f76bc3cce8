/** Which siblings a giver asks for an entry, how often, and when. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ends, enter, LARGE, openSpool } from '#test/kit/handoverrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { Log } from '../observe/log.ts';
import type { Spool } from '../spool/spool.ts';
import { Giver } from './giver.ts';
import type { Offered, Sibling } from './sibling.ts';

type Kind = Offered['kind'];

/** A sibling that answers as this function says. */
function openScripted(
  host: string,
  answer: (id: string) => Kind,
  mayTake: (bytes: number) => boolean = () => true,
): Sibling {
  const offer = async ({ id }: { id: string }) => ({ kind: answer(id), reason: '' });
  const rest = { askAgainAt: 0, fault: undefined, mayTake, close: () => undefined };
  return { address: { host, port: 1 }, offer, ...rest } as unknown as Sibling;
}

function start(
  spool: Spool,
  siblings: readonly Sibling[],
  clock = () => 0,
  log: Log = () => undefined,
): void {
  const giver = new Giver({ spool, siblings, log, clock, readPolicies: () => null });
  ends.push(() => giver.drain());
  giver.start();
}

/** Two siblings that give these answers, one after the other, in the order in which they are asked for this entry. */
function openTwo(
  id: string,
  asked: string[],
  first: Kind[],
  second: Kind[],
  mayTake = () => true,
): Sibling[] {
  const script = (host: string, answers: Kind[]) => () => {
    asked.push(host);
    return answers.shift() ?? 'away';
  };
  const siblings = [
    openScripted('first', script('first', first), mayTake),
    openScripted('second', script('second', second)),
  ];
  return crc32(id) % 2 === 0 ? siblings : siblings.reverse();
}

test('an entry that waited in vain for one sibling waits as long for the next one that may have it', async () => {
  const from = openSpool();
  const id = await enter(from, Buffer.from('once'));
  const asked: string[] = [];
  let now = 0;
  const first: Kind[] = ['unanswered', 'away', 'taken'];
  start(from, openTwo(id, asked, first, ['unanswered', 'taken']), () => now);
  await eventually(() => asked.length === 1);
  now = 10 * 60_000;
  await eventually(() => from.depth === 0);
  assert.deepEqual(asked, ['first', 'first', 'second', 'second']);
});

test('a sibling that may have an entry is asked for it also while it has no room', async () => {
  const from = openSpool();
  const id = await enter(from, Buffer.from('once'));
  const asked: string[] = [];
  start(
    from,
    openTwo(id, asked, ['unanswered', 'taken'], ['taken'], () => asked.length === 0),
  );
  await eventually(() => from.depth === 0);
  assert.deepEqual(asked, ['first', 'first']);
});

test('an entry that a sibling has and that cannot be removed here goes to no sibling again, and is removed later', async () => {
  const from = openSpool();
  const id = await enter(from, Buffer.from('once'));
  const settle = from.settle.bind(from);
  from.settle = async () => {
    from.settle = settle;
    throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
  };
  const asked: string[] = [];
  const siblings = openTwo(id, asked, ['away', 'taken'], ['taken']);
  // All of them go away then.
  const askAgainAt = { get: () => (asked.length < 2 ? 0 : Number.POSITIVE_INFINITY) };
  for (const sibling of siblings) Object.defineProperty(sibling, 'askAgainAt', askAgainAt);
  start(from, siblings);
  await eventually(() => from.depth === 0);
  assert.deepEqual(asked, ['first', 'second']);
});

test('an entry that a sibling has waits for no person, where the disk that could not remove it has damaged it', async () => {
  const from = openSpool();
  const id = await enter(from, Buffer.alloc(LARGE, 'x'));
  const settle = from.settle.bind(from);
  from.settle = async () => {
    from.settle = settle;
    rmSync(join(from.stateDir, 'bodies', id));
    throw Object.assign(new Error('a disk error'), { code: 'EIO' });
  };
  start(from, [openScripted('taking', () => 'taken')]);
  await eventually(() => from.depth === 0);
  await eventually(() => from.damaged === 0);
});

test('an entry that a sibling has is removed also where the disk that could not remove it cannot read it any more', async () => {
  const from = openSpool();
  await enter(from, Buffer.from('once'));
  const settle = from.settle.bind(from);
  const fail = () => {
    throw Object.assign(new Error('a disk error'), { code: 'EIO' });
  };
  from.settle = async () => {
    Object.assign(from, { settle, load: fail });
    fail();
  };
  start(from, [openScripted('taking', () => 'taken')]);
  await eventually(() => from.depth === 0);
});

test('a queue that cannot be read for a while is read again, and what could not be read is told once', async () => {
  const from = openSpool();
  for (let count = 0; count < 100; count++) await enter(from, Buffer.from('x'));
  const { list, load } = from;
  const fail = () => {
    throw new Error('The queue is being recovered');
  };
  // The store breaks with the first entry, and at the next look it is still broken.
  from.load = () => {
    Object.defineProperty(from, 'isBroken', { value: true, configurable: true });
    return fail();
  };
  from.list = () => {
    if (!from.isBroken) return list.call(from);
    Object.assign(from, { list, load });
    Object.defineProperty(from, 'isBroken', { value: false });
    return fail();
  };
  const told: string[] = [];
  const taking = openScripted('taking', () => 'taken');
  start(from, [taking], undefined, (event) => void told.push(event));
  await eventually(() => from.depth === 0);
  const failed = told.filter((event) => event !== 'handed_over');
  assert.deepEqual(failed, ['handover_failed', 'spool_not_read']);
});

test('a sibling is asked for an entry that it may have before it forgets it, however long the queue is', async () => {
  const from = openSpool();
  const ids = await Promise.all(Array.from({ length: 300 }, () => enter(from, Buffer.from('x'))));
  const [doubted] = ids.toSorted();
  const askedAt: number[] = [];
  let now = 0;
  const sibling = openScripted('only', (id) => {
    now += 1_000;
    if (id !== doubted) return 'taken';
    return askedAt.push(now) === 1 ? 'unanswered' : 'taken';
  });
  start(from, [sibling], () => now);
  await eventually(() => from.depth === 0);
  assert.equal(askedAt.length, 2);
  const [first = 0, again = 0] = askedAt;
  assert.ok(again - first < 60_000, `asked again after ${again - first} ms`);
});
