/** A sibling whose disk has little room: what fits goes there, and what does not fit keeps nothing else back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, LARGE, openPod, openSpool, startGiver } from '#test/kit/handoverrig.ts';
import { eventually } from '#test/kit/wait.ts';

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

test('a quota of a sibling that only its writes show keeps no small mail back either', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const bodyWriter = pod.spool.bodyWriter.bind(pod.spool);
  pod.spool.bodyWriter = (id) => {
    const writer = bodyWriter(id);
    const write = writer.write.bind(writer);
    writer.write = async (...chunks) => {
      if (writer.bytes > 200_000) throw Object.assign(new Error('EDQUOT'), { errno: -122 });
      return write(...chunks);
    };
    return writer;
  };
  for (let count = 0; count < 10; count++) await enter(from, Buffer.alloc(LARGE, 'x'));
  for (let count = 0; count < 40; count++) await enter(from, Buffer.from(`${count}`));
  startGiver(from, [pod.port]);
  await eventually(() => pod.spool.depth === 40);
  await eventually(() => from.depth === 10);
});
