/**
 * Events wait in the outbox and go in batches: what is not taken is sent again after a pause, and nothing waits without
 * bound.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accept, begin, eventsIn, REFUSED, rig, TAKEN } from '#test/kit/senderrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { Posted } from './post.ts';

test('what waits is sent in batches, the oldest first, and forgotten when it is taken', async () => {
  await accept(2_050);
  const sender = begin();
  await sender.look();
  const sizes = () => rig.posts.map((one) => eventsIn(one).length);
  assert.deepEqual(sizes(), [1_000, 1_000], 'the rest waits for more, until the next look');
  await sender.look();
  assert.deepEqual(sizes(), [1_000, 1_000, 50]);
  const ids = rig.posts.flatMap(eventsIn).map(({ id }) => id);
  assert.deepEqual(ids, ids.toSorted());
  assert.equal(new Set(ids).size, 2_050);
  assert.equal(rig.spool.outbox.size, 0);
  assert.equal(rig.counts['sent'], 2_050);
  const { type, relay } = JSON.parse(rig.posts[0]?.body ?? '');
  assert.deepEqual([type, relay], ['mail.events', { name: 'relay', namespace: 'mail' }]);
  assert.equal(eventsIn(rig.posts[0] ?? assert.fail())[0]?.type, 'mail.accepted');
});

test('what comes during the last request waits for the next look, so that it goes together', async () => {
  await accept(50);
  rig.answer = async () => {
    rig.now += 10;
    await accept(1);
    return TAKEN;
  };
  const sender = begin();
  await sender.look();
  assert.deepEqual([rig.posts.length, rig.spool.outbox.size], [1, 1]);
  rig.answer = () => TAKEN;
  await sender.look();
  assert.deepEqual([rig.posts.length, rig.spool.outbox.size], [2, 0]);
});

test('a batch that is not taken is sent again under the same id, and nothing is forgotten', async () => {
  await accept(3);
  rig.answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  await sender.look();
  assert.equal(rig.posts.length, 1, 'there is a pause');
  rig.now += 1_000;
  rig.answer = () => TAKEN;
  await sender.look();
  assert.equal(rig.posts.length, 2);
  assert.deepEqual(rig.posts[0] && eventsIn(rig.posts[0]), rig.posts[1] && eventsIn(rig.posts[1]));
  assert.equal(rig.posts[0]?.headers['webhook-id'], rig.posts[1]?.headers['webhook-id']);
  assert.equal(rig.spool.outbox.size, 0);
});

test('other events have another id', async () => {
  await accept(2);
  rig.answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  await accept(1);
  rig.now += 1_000;
  await sender.look();
  assert.notEqual(rig.posts[0]?.headers['webhook-id'], rig.posts[1]?.headers['webhook-id']);
});

test('the pauses grow to five minutes, and are short again after a success', async () => {
  await accept(1);
  rig.answer = () => REFUSED;
  const sender = begin();
  const pauses: number[] = [];
  for (let tries = 1; tries <= 12; tries++) {
    const before = rig.now;
    while (rig.posts.length < tries) {
      await sender.look();
      rig.now += 500;
    }
    pauses.push(rig.now - before - 500);
  }
  assert.deepEqual(pauses.slice(1, 5), [500, 1_500, 3_500, 7_500]);
  assert.ok(pauses.every((ms) => ms <= 300_000));
  rig.answer = () => TAKEN;
  rig.now += 300_000;
  await sender.look();
  await accept(1);
  rig.answer = () => REFUSED;
  await sender.look();
  rig.now += 1_000;
  await sender.look();
  assert.equal(rig.posts.length, 15);
  assert.deepEqual(rig.logged, ['events_not_taken', 'events_not_taken']);
});

test('a receiver that hangs is asked once at a time, and the sender ends without it', async () => {
  await accept(1);
  const asked = Promise.withResolvers<Posted>();
  rig.answer = () => asked.promise;
  const sender = begin();
  const looking = sender.look();
  await sender.keepBound();
  assert.equal(sender.figures.waiting, 1);
  void sender.look();
  assert.equal(rig.posts.length, 1);
  const closed = sender.close();
  asked.resolve(REFUSED);
  await closed;
  await looking;
  assert.deepEqual([rig.spool.outbox.size, rig.logged], [1, []]);
});

test('beyond the bound the oldest are dropped, counted and told', async () => {
  await accept(30);
  rig.answer = () => REFUSED;
  const sender = begin(10);
  await sender.keepBound();
  assert.deepEqual([rig.spool.outbox.size, rig.counts['dropped'], rig.logged], [10, 20, ['events_dropped']]);
  assert.deepEqual(sender.figures, { waiting: 10, failure: null, hasDropped: true });
  rig.answer = () => TAKEN;
  await sender.look();
  const times = eventsIn(rig.posts[0] ?? assert.fail()).map(({ id }) => id);
  assert.equal(times.length, 10);
  rig.now += 3_600_000;
  assert.equal(sender.figures.hasDropped, false);
});

test('a failure is told after a minute', async () => {
  await accept(1);
  rig.answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  assert.equal(sender.figures.failure, null);
  rig.now += 60_000;
  assert.equal(sender.figures.failure, 'HTTP status 429');
});

test('an error before the request is a failure like any other', async () => {
  await accept(1);
  rig.answer = () => {
    throw new Error('no such certificate');
  };
  const sender = begin();
  await sender.look();
  rig.now += 60_000;
  assert.equal(sender.figures.failure, 'no such certificate');
});

test('without a key nothing is sent unsigned', async () => {
  await accept(1);
  rig.keys = undefined;
  const sender = begin();
  await sender.look();
  assert.deepEqual([rig.posts.length, rig.counts['failed'], rig.spool.outbox.size], [0, 1, 1]);
});

test('large events make small batches, and one event of any size goes', async () => {
  await accept(5, `${'x'.repeat(200_000)}@b.example`);
  const sender = begin();
  await sender.look();
  await sender.look();
  assert.deepEqual(
    rig.posts.map((one) => eventsIn(one).length),
    [2, 2, 1],
  );
  await accept(1, `${'x'.repeat(800_000)}@b.example`);
  rig.now += 1;
  await eventually(async () => {
    await rig.senders[0]?.look();
    return rig.posts.length === 4;
  });
});
