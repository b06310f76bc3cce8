/** A sibling whose disk has little room: what fits goes there, and what does not fit keeps nothing else back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ends,
  enter,
  LARGE,
  openPod,
  openSpool,
  pair,
  type ReceivingPod,
  startGiver,
} from '#test/kit/handoverrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { monotonic } from '../task/clock.ts';
import { Sibling } from './sibling.ts';

test('large mail for which a sibling has no room keeps no small mail back, is told, and goes when there is room', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  let room = LARGE;
  pod.spool.hasRoom = (bytes) => bytes < room;
  for (let count = 0; count < 10; count++) await enter(from, Buffer.alloc(LARGE, 'x'));
  for (let count = 0; count < 40; count++) await enter(from, Buffer.from(`${count}`));
  const giver = startGiver(from, [pod.port]);
  await eventually(() => pod.spool.depth === 40);
  await eventually(() => from.depth === 10);
  assert.match(giver.figures.deferrals[0]?.message ?? '', /no room left/);
  room = Number.POSITIVE_INFINITY;
  await eventually(() => from.depth === 0);
  assert.deepEqual(giver.figures.deferrals, []);
});

test('of a sibling that is back and has no room, the room is told, and not that it was away', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  let isAway = true;
  pod.spool.hasRoom = () => {
    if (isAway) throw new Error('the disk is away');
    return false;
  };
  await enter(from, Buffer.alloc(LARGE, 'x'));
  const giver = startGiver(from, [pod.port]);
  await eventually(() => /the disk is away/.test(giver.figures.deferrals[0]?.message ?? ''));
  isAway = false;
  await eventually(() => /no room left/.test(giver.figures.deferrals[0]?.message ?? ''));
});

/** From this size on each body meets a quota. */
function limitBodies({ spool }: ReceivingPod): void {
  const bodyWriter = spool.bodyWriter.bind(spool);
  spool.bodyWriter = (id) => {
    const writer = bodyWriter(id);
    const write = writer.write.bind(writer);
    writer.write = async (...chunks) => {
      if (writer.bytes > 200_000) throw Object.assign(new Error('EDQUOT'), { errno: -122 });
      return write(...chunks);
    };
    return writer;
  };
}

test('a quota of a sibling that only its writes show keeps no small mail back either', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  limitBodies(pod);
  for (let count = 0; count < 10; count++) await enter(from, Buffer.alloc(LARGE, 'x'));
  for (let count = 0; count < 40; count++) await enter(from, Buffer.from(`${count}`));
  startGiver(from, [pod.port]);
  await eventually(() => pod.spool.depth === 40);
  await eventually(() => from.depth === 10);
});

test('a refusal in the middle of a body arrives as what it is, however much of the body is still to come', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  limitBodies(pod);
  const sibling = new Sibling({ host: '127.0.0.1', port: pod.port }, pair, monotonic);
  ends.push(() => sibling.close());
  for (const bytes of [LARGE, 4 * LARGE, 30 * LARGE]) {
    const loaded = from.load(await enter(from, Buffer.alloc(bytes, 'x')));
    assert.ok(loaded.kind === 'message');
    const { kind } = await sibling.offer(loaded);
    assert.equal(kind, 'noRoom', `${bytes} bytes`);
  }
  assert.equal(pod.spool.depth, 0);
});
