/**
 * Entries that the router of a sibling delivers while the giver still asks for them: the sibling knows them all the same. One
 * that it had to set aside it takes again.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ends, enter, LARGE, openPod, openSpool, pair, readContent } from '#test/kit/handoverrig.ts';
import { monotonic } from '../task/clock.ts';
import { Sibling } from './sibling.ts';

/** A pod in evacuation offers an entry to a sibling, as often as it is told. */
async function openOffers(body = Buffer.from('once')) {
  const [from, to] = [openSpool(), await openPod()];
  const loaded = from.load(await enter(from, body));
  assert.ok(loaded.kind === 'message');
  const sibling = new Sibling({ host: '127.0.0.1', port: to.port }, pair, monotonic);
  ends.push(() => sibling.close());
  const deliver = async () => {
    const { record } = await readContent(to.spool, loaded.id);
    await to.spool.settle(loaded.id, { ...record, recipients: [] });
  };
  return { to, loaded, deliver, offer: async () => (await sibling.offer(loaded)).kind };
}

test('an entry that is delivered while the sibling confirms it is known, and not taken again', async () => {
  const { to, loaded, deliver, offer } = await openOffers();
  assert.equal(await offer(), 'taken');
  const confirm = to.spool.confirm.bind(to.spool);
  to.spool.confirm = async (id) => {
    await deliver();
    return confirm(id);
  };
  assert.equal(await offer(), 'taken');
  assert.deepEqual([to.spool.list(), [...to.entered]], [[], [loaded.id]]);
});

test('an entry of the receiving process before this one is known, also when it is delivered after that was said', async () => {
  const { to, loaded, deliver, offer } = await openOffers();
  const writer = to.spool.bodyWriter(loaded.id);
  await writer.write(Buffer.from('once'));
  await to.spool.enter(loaded.id, loaded.record, await writer.seal());
  assert.equal(await offer(), 'taken');
  await deliver();
  assert.equal(await offer(), 'taken');
  assert.deepEqual([to.spool.list(), [...to.entered]], [[], []]);
});

test('an entry that was set aside at the sibling is taken again, and is not told as known', async () => {
  const { to, loaded, offer } = await openOffers(Buffer.alloc(LARGE, 'x'));
  assert.equal(await offer(), 'taken');
  rmSync(join(to.spool.stateDir, 'bodies', loaded.id));
  await to.spool.setAside(loaded.id);
  assert.equal(await offer(), 'taken');
  assert.equal((await readContent(to.spool, loaded.id)).body.length, LARGE);
  assert.deepEqual(to.spool.listDamaged(), []);
});

test('an entry that was set aside and could not be taken again is not told as known', async () => {
  const { to, loaded, offer } = await openOffers(Buffer.alloc(LARGE, 'x'));
  assert.equal(await offer(), 'taken');
  rmSync(join(to.spool.stateDir, 'bodies', loaded.id));
  await to.spool.setAside(loaded.id);
  const enterEntry = to.spool.enter;
  to.spool.enter = async () => {
    to.spool.enter = enterEntry;
    throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC', errcode: 13 });
  };
  assert.equal(await offer(), 'noRoom');
  assert.equal(await offer(), 'taken');
  assert.equal((await readContent(to.spool, loaded.id)).body.length, LARGE);
});
