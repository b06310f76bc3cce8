import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { KubeError } from './errors.ts';
import { WorkQueue } from './workqueue.ts';

/** A queue in which each piece of work runs until the test ends it. */
function held(workers: number) {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const queue = new WorkQueue(
    (key) =>
      new Promise((resolve, reject) => {
        begun.push(key);
        ends.set(key, (error) => (error ? reject(error) : resolve()));
      }),
    workers,
    () => 0.5,
  );
  return { queue, begun, end: (key: string, error?: Error) => ends.get(key)?.(error) };
}

test('a key that waits is worked on once, however often it was added', async () => {
  const { queue, begun, end } = held(1);
  queue.add('busy');
  for (let count = 0; count < 5; count++) queue.add('a');
  end('busy');
  await until('a', () => begun.length === 2);
  end('a');
  await queue.stop();
  assert.deepEqual(begun, ['busy', 'a']);
});

test('two workers never have the same key, and a change in the meantime is worked on afterwards', async () => {
  const { queue, begun, end } = held(2);
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.deepEqual(begun, ['a', 'b']);
  end('a');
  await until('a again', () => begun.length === 3);
  assert.deepEqual(begun, ['a', 'b', 'a']);
  end('a');
  end('b');
  await queue.stop();
});

test('a key whose work failed is taken again, and one that works is not', async () => {
  const { queue, begun, end } = held(1);
  queue.add('a');
  end('a', new Error('no'));
  await until('the retry', () => begun.length === 2);
  end('a');
  await queue.stop();
  assert.equal(queue.depth, 0);
});

test('addAfter keeps the earliest wish', async () => {
  const { queue, begun, end } = held(1);
  queue.addAfter('a', 60_000);
  queue.addAfter('a', 1);
  queue.addAfter('a', 60_000);
  await until('a', () => begun.length === 1);
  end('a');
  await queue.stop();
});

test('a time that no timer reaches does not come at once', async () => {
  const { queue, begun, end } = held(1);
  for (const ms of [2 ** 31, 400 * 86_400_000, Number.POSITIVE_INFINITY]) queue.addAfter(`in ${ms}`, ms);
  queue.addAfter('soon', 20);
  await until('a key', () => begun.length === 1);
  assert.deepEqual(begun, ['soon']);
  end('soon');
  await queue.stop();
});

test('stop waits for what is under way and takes nothing more', async () => {
  const { queue, begun, end } = held(1);
  queue.add('a');
  queue.add('b');
  const stopped = queue.stop();
  queue.add('c');
  end('a');
  await stopped;
  assert.deepEqual(begun, ['a']);
});

test('what just happened goes before what is only looked at again', async () => {
  const { queue, begun, end } = held(1);
  queue.add('busy');
  queue.add('a', 'routine');
  queue.add('b', 'routine');
  queue.add('fresh');
  queue.add('b');
  for (const key of ['busy', 'fresh', 'b', 'a']) {
    await until(key, () => begun.at(-1) === key);
    end(key);
  }
  await queue.stop();
  assert.deepEqual(begun, ['busy', 'fresh', 'b', 'a']);
});

test('a server that asks for a pause gets it, unless what failed is over', async () => {
  const { queue, begun, end } = held(1);
  queue.add('a');
  end('a', new KubeError('unavailable', 'slow down', 429, 3_600));
  queue.add('b');
  await until('b', () => begun.length === 2);
  end('b');
  queue.retryNow();
  await until('a again', () => begun.length === 3);
  end('a');
  await queue.stop();
  assert.deepEqual(begun, ['a', 'b', 'a']);
});

test('the age of the queue is that of the key that waits longest', async () => {
  const { queue, end } = held(1);
  queue.add('a');
  assert.equal(queue.oldestMs, 0);
  queue.add('b', 'routine');
  await until('time to pass', () => queue.oldestMs > 0);
  assert.equal(queue.depth, 1);
  end('a');
  const stopped = queue.stop();
  end('b');
  await stopped;
});

test('a namespace with many keys holds up no other one, and never has more than half of the workers', async () => {
  const { queue, begun, end } = held(4);
  for (let index = 0; index < 10; index++) queue.add(`many/${index}`);
  assert.deepEqual(begun, ['many/0', 'many/1']);
  queue.add('few/a');
  queue.add('few/b', 'routine');
  assert.deepEqual(begun.slice(2), ['few/a', 'few/b']);
  queue.add('other/c');
  queue.add('few/d');
  end('many/0');
  await until('the one that has no worker', () => begun.length === 5);
  assert.equal(begun[4], 'other/c');
  const stopped = queue.stop();
  for (const key of ['many/1', 'few/a', 'few/b', 'other/c']) end(key);
  await stopped;
});

test('a key that changes without end is worked on at a pace, and others meanwhile', async () => {
  const begun: string[] = [];
  const queue = new WorkQueue(
    async (key) => {
      begun.push(key);
      if (key === 'a/a') queue.add(key);
    },
    1,
    () => 0.5,
  );
  queue.add('a/a');
  await until('it to be worked on', () => begun.length >= 20);
  queue.add('b/b');
  await until('the other one', () => begun.includes('b/b'));
  assert.ok(begun.indexOf('b/b') <= 22, `${begun.indexOf('b/b')}`);
  await until('it to be worked on again', () => begun.length > 22);
  await queue.stop();
});

test('a namespace whose work keeps the process busy gets one worker and then pauses, and no other does', async () => {
  const { queue, begun, end } = held(4);
  queue.charge('busy/0', { busyMs: 100, waitedMs: 0 });
  for (let index = 0; index < 3; index++) queue.add(`busy/${index}`);
  assert.deepEqual(begun, ['busy/0']);
  for (const key of ['few/a', 'few/b']) queue.add(key);
  assert.deepEqual(begun, ['busy/0', 'few/a', 'few/b']);
  queue.charge('busy/0', { busyMs: 60_000, waitedMs: 0 });
  end('busy/0');
  end('few/a');
  queue.add('few/c');
  await until('the other one', () => begun.length === 4);
  assert.equal(begun[3], 'few/c');
  // It waits for minutes.
  assert.equal(queue.depth, 0);
  const stopped = queue.stop();
  for (const key of ['few/b', 'few/c']) end(key);
  await stopped;
});

test('a namespace for which the API server works long gets one worker, and no pause', async () => {
  const { queue, begun, end } = held(8);
  for (let count = 0; count < 100; count++) {
    queue.charge('slow/a', { busyMs: 0, waitedMs: 120 });
    queue.charge('fast/a', { busyMs: 0, waitedMs: 40 });
  }
  for (let index = 0; index < 3; index++) for (const name of ['slow', 'fast']) queue.add(`${name}/${index}`);
  assert.deepEqual(begun, ['slow/0', 'fast/0', 'fast/1', 'fast/2']);
  end('slow/0');
  await until('its next one', () => begun.length === 5);
  assert.equal(begun[4], 'slow/1');
  const stopped = queue.stop();
  for (const key of begun) end(key);
  await stopped;
});

test('however many namespaces the API server answers slowly, a worker is left for another', async () => {
  const { queue, begun, end } = held(4);
  const slow = Array.from({ length: 6 }, (_, index) => `slow-${index}/a`);
  for (const key of slow) queue.charge(key, { busyMs: 0, waitedMs: 60_000 });
  for (const key of [...slow, 'fast/a', 'fast/b']) queue.add(key);
  assert.deepEqual(begun, ['slow-0/a', 'slow-1/a', 'slow-2/a', 'fast/a']);
  end('fast/a');
  await until('the other one', () => begun.length === 5);
  assert.equal(begun[4], 'fast/b');
  end('slow-0/a');
  await until('the next slow one', () => begun.length === 6);
  assert.equal(begun[5], 'slow-3/a');
  const stopped = queue.stop();
  for (const key of begun) end(key);
  await stopped;
});

test('short work costs nothing, however much of it there is', async () => {
  const { queue, begun, end } = held(4);
  for (let count = 0; count < 1_000; count++) queue.charge('many/a', { busyMs: 15, waitedMs: 0 });
  for (const key of ['many/a', 'many/b']) queue.add(key);
  assert.deepEqual(begun, ['many/a', 'many/b']);
  const stopped = queue.stop();
  for (const key of begun) end(key);
  await stopped;
});

test('namespaces take turns, and a namespace keeps the order of its keys', async () => {
  const { queue, begun, end } = held(1);
  for (const key of ['busy/a', 'many/a', 'many/b', 'many/c', 'few/a', 'other/a', 'few/b']) queue.add(key);
  const order = ['busy/a', 'many/a', 'few/a', 'other/a', 'many/b', 'few/b', 'many/c'];
  for (const key of order) {
    await until(key, () => begun.at(-1) === key);
    end(key);
  }
  await queue.stop();
  assert.deepEqual(begun, order);
  assert.equal(queue.depth, 0);
});

test('many changes whose work failed do not make the last one wait', async () => {
  const { queue, begun, end } = held(1);
  for (let count = 1; count <= 18; count++) {
    queue.add('a');
    await until('the change', () => begun.length >= count);
    end('a', new Error('the object has changed'));
  }
  for (let retry = 1; retry <= 3; retry++) {
    const seen = begun.length;
    await until('the retry', () => begun.length > seen, 5_000);
    end('a', new Error('the object has changed'));
  }
  await queue.stop();
});

test('a change that must wait goes first all the same where a routine look was planned before it', async () => {
  const { queue, begun, end } = held(1);
  queue.add('busy/a');
  queue.addAfter('a/a', 50);
  queue.charge('a/a', { busyMs: 600, waitedMs: 0 });
  queue.add('a/a');
  queue.add('b/b', 'routine');
  await until('the change', () => queue.depth === 2);
  end('busy/a');
  await until('the next one', () => begun.length === 2);
  assert.equal(begun[1], 'a/a');
  end('a/a');
  await until('the last one', () => begun.length === 3);
  end('b/b');
  await queue.stop();
});
