import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { eventually } from '#test/kit/wait.ts';
import { newQueueId } from '../spool/record.ts';
import { Spool } from '../spool/spool.ts';
import { encodeArrival } from './encode.ts';
import type { Posted } from './post.ts';
import { EventSender } from './sender.ts';

let dirs: PodDirs;
let spool: Spool;
let now: number;
let posts: { body: string; headers: Readonly<Record<string, string>> }[];
let answer: () => Posted | Promise<Posted>;
let counts: Record<string, number>;
let logged: string[];
let keys: readonly Buffer[] | undefined;
let senders: EventSender[];

const TAKEN: Posted = { kind: 'taken' };
const REFUSED: Posted = { kind: 'failed', reason: 'HTTP status 429' };
const ERRED: Posted = { kind: 'erred', reason: 'HTTP status 500' };

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
  now = 1_000_000;
  posts = [];
  counts = {};
  logged = [];
  keys = [randomBytes(24)];
  senders = [];
  answer = () => TAKEN;
});
afterEach(async () => {
  for (const sender of senders) await sender.close();
  await spool.close();
  dirs.remove();
});

function begin(most?: number): EventSender {
  const sender = new EventSender({
    relay: { name: 'relay', namespace: 'mail' },
    outbox: spool.outbox,
    readKeys: () => keys,
    post: async (body, headers) => {
      posts.push({ body: body.toString(), headers });
      return answer();
    },
    ...(most === undefined ? {} : { most }),
    log: (event) => logged.push(event),
    count: (result, count) => {
      counts[result] = (counts[result] ?? 0) + count;
    },
    clock: () => now,
    wall: () => now,
    random: () => 1,
  });
  senders.push(sender);
  return sender;
}

/** Messages as a listener enters them, each with its event. */
async function accept(count: number, from = 'a@b.example'): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const id = newQueueId(now + index);
      const recipients = [{ address: 'r@partner.example', state: 'queued' as const }];
      const envelope = { from, recipients, receivedAt: now + index, smtpUtf8: false, eightBit: false };
      const bytes = Buffer.from('Subject: s\r\n\r\nbody\r\n');
      return spool.enter(id, envelope, { kind: 'inline', bytes }, [
        ...encodeArrival(id, envelope, bytes.length),
      ]);
    }),
  );
}

const eventsIn = ({ body }: { body: string }): { id: string; type: string; data: { from: string } }[] =>
  JSON.parse(body).data.events;

test('what waits is sent in batches, the oldest first, and forgotten when it is taken', async () => {
  await accept(2_050);
  const sender = begin();
  await sender.look();
  const sizes = () => posts.map((one) => eventsIn(one).length);
  assert.deepEqual(sizes(), [1_000, 1_000], 'the rest waits for more, until the next look');
  await sender.look();
  assert.deepEqual(sizes(), [1_000, 1_000, 50]);
  const ids = posts.flatMap(eventsIn).map(({ id }) => id);
  assert.deepEqual(ids, ids.toSorted());
  assert.equal(new Set(ids).size, 2_050);
  assert.equal(spool.outbox.size, 0);
  assert.equal(counts['sent'], 2_050);
  const { type, relay } = JSON.parse(posts[0]?.body ?? '');
  assert.deepEqual([type, relay], ['mail.events', { name: 'relay', namespace: 'mail' }]);
  assert.equal(eventsIn(posts[0] ?? assert.fail())[0]?.type, 'mail.accepted');
});

test('what comes during the last request waits for the next look, so that it goes together', async () => {
  await accept(50);
  answer = async () => {
    now += 10;
    await accept(1);
    return TAKEN;
  };
  const sender = begin();
  await sender.look();
  assert.deepEqual([posts.length, spool.outbox.size], [1, 1]);
  answer = () => TAKEN;
  await sender.look();
  assert.deepEqual([posts.length, spool.outbox.size], [2, 0]);
});

test('a batch that is not taken is sent again under the same id, and nothing is forgotten', async () => {
  await accept(3);
  answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  await sender.look();
  assert.equal(posts.length, 1, 'there is a pause');
  now += 1_000;
  answer = () => TAKEN;
  await sender.look();
  assert.equal(posts.length, 2);
  assert.deepEqual(posts[0] && eventsIn(posts[0]), posts[1] && eventsIn(posts[1]));
  assert.equal(posts[0]?.headers['webhook-id'], posts[1]?.headers['webhook-id']);
  assert.equal(spool.outbox.size, 0);
});

test('other events have another id', async () => {
  await accept(2);
  answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  await accept(1);
  now += 1_000;
  await sender.look();
  assert.notEqual(posts[0]?.headers['webhook-id'], posts[1]?.headers['webhook-id']);
});

test('the pauses grow to five minutes, and are short again after a success', async () => {
  await accept(1);
  answer = () => REFUSED;
  const sender = begin();
  const pauses: number[] = [];
  for (let tries = 1; tries <= 12; tries++) {
    const before = now;
    while (posts.length < tries) {
      await sender.look();
      now += 500;
    }
    pauses.push(now - before - 500);
  }
  assert.deepEqual(pauses.slice(1, 5), [500, 1_500, 3_500, 7_500]);
  assert.ok(pauses.every((ms) => ms <= 300_000));
  answer = () => TAKEN;
  now += 300_000;
  await sender.look();
  await accept(1);
  answer = () => REFUSED;
  await sender.look();
  now += 1_000;
  await sender.look();
  assert.equal(posts.length, 15);
  assert.deepEqual(logged, ['events_not_taken', 'events_not_taken']);
});

test('a receiver that hangs is asked once at a time, and the sender ends without it', async () => {
  await accept(1);
  const asked = Promise.withResolvers<Posted>();
  answer = () => asked.promise;
  const sender = begin();
  const looking = sender.look();
  await sender.keepBound();
  assert.equal(sender.figures.waiting, 1);
  void sender.look();
  assert.equal(posts.length, 1);
  const closed = sender.close();
  asked.resolve(REFUSED);
  await closed;
  await looking;
  assert.deepEqual([spool.outbox.size, logged], [1, []]);
});

test('beyond the bound the oldest are dropped, counted and told', async () => {
  await accept(30);
  answer = () => REFUSED;
  const sender = begin(10);
  await sender.keepBound();
  assert.deepEqual([spool.outbox.size, counts['dropped'], logged], [10, 20, ['events_dropped']]);
  assert.deepEqual(sender.figures, { waiting: 10, failure: null, hasDropped: true });
  answer = () => TAKEN;
  await sender.look();
  const times = eventsIn(posts[0] ?? assert.fail()).map(({ id }) => id);
  assert.equal(times.length, 10);
  now += 3_600_000;
  assert.equal(sender.figures.hasDropped, false);
});

test('a failure is told after a minute', async () => {
  await accept(1);
  answer = () => REFUSED;
  const sender = begin();
  await sender.look();
  assert.equal(sender.figures.failure, null);
  now += 60_000;
  assert.equal(sender.figures.failure, 'HTTP status 429');
});

test('an error before the request is a failure like any other', async () => {
  await accept(1);
  answer = () => {
    throw new Error('no such certificate');
  };
  const sender = begin();
  await sender.look();
  now += 60_000;
  assert.equal(sender.figures.failure, 'no such certificate');
});

test('without a key nothing is sent unsigned', async () => {
  await accept(1);
  keys = undefined;
  const sender = begin();
  await sender.look();
  assert.deepEqual([posts.length, counts['failed'], spool.outbox.size], [0, 1, 1]);
});

test('large events make small batches, and one event of any size goes', async () => {
  await accept(5, `${'x'.repeat(200_000)}@b.example`);
  const sender = begin();
  await sender.look();
  await sender.look();
  assert.deepEqual(
    posts.map((one) => eventsIn(one).length),
    [2, 2, 1],
  );
  await accept(1, `${'x'.repeat(800_000)}@b.example`);
  now += 1;
  await eventually(async () => {
    await senders[0]?.look();
    return posts.length === 4;
  });
});

test('an event that the receiver refuses for good stops no other one', async () => {
  await accept(50);
  const bad = '9@b.example';
  await accept(1, bad);
  await accept(50);
  const refuses = () => eventsIn(posts.at(-1) ?? assert.fail()).some(({ data }) => data.from === bad);
  answer = () => (refuses() ? { kind: 'refused', reason: 'HTTP status 413' } : TAKEN);
  const sender = begin();
  for (let tries = 0; tries < 30; tries++) {
    await sender.look();
    now += 1_000;
  }
  assert.deepEqual([spool.outbox.size, counts['sent'], counts['dropped']], [1, 100, undefined]);
  for (let tries = 0; tries < 3_000 && spool.outbox.size > 0; tries++) {
    if (tries % 30 === 0) await accept(1);
    await sender.look();
    now += 1_000;
  }
  assert.deepEqual([spool.outbox.size, counts['dropped'], logged.at(-1)], [0, 1, 'events_dropped']);
  assert.deepEqual(sender.figures, { waiting: 0, failure: 'HTTP status 413', hasDropped: true });
});

for (const [what, hours, left] of [
  ['waits for a day', 23, 101],
  ['is passed over after it', 26, 1],
] as const)
  test(`an event that is never taken, for a reason that is hardly its own, ${what}`, async () => {
    await accept(1, '9@b.example');
    now += 1;
    await accept(100);
    answer = () =>
      eventsIn(posts.at(-1) ?? assert.fail())[0]?.data.from === '9@b.example' ? REFUSED : TAKEN;
    const sender = begin();
    for (const end = now + hours * 3_600_000; now < end; now += 60_000) await sender.look();
    assert.equal(spool.outbox.size, left);
  });

test('an event that always gets a 500 is found within minutes, and dropped within an hour of others; none of these is lost', async () => {
  await accept(150);
  now += 1_000;
  const bad = '9@b.example';
  await accept(1, bad);
  now += 1_000;
  await accept(150);
  const breaks = () => eventsIn(posts.at(-1) ?? assert.fail()).some(({ data }) => data.from === bad);
  answer = () => (breaks() ? ERRED : TAKEN);
  const sender = begin();
  for (let seconds = 0; seconds < 180; seconds++) {
    await sender.look();
    now += 1_000;
  }
  assert.deepEqual([spool.outbox.size, counts['sent'], counts['dropped']], [1, 300, undefined]);
  let others = 0;
  for (let seconds = 0; seconds < 3_600 && spool.outbox.size > 0; seconds++) {
    if (seconds % 30 === 0) {
      await accept(1);
      others += 1;
    }
    await sender.look();
    now += 1_000;
  }
  assert.deepEqual([spool.outbox.size, counts['dropped'], logged.at(-1)], [0, 1, 'events_dropped']);
  assert.equal(counts['sent'], 300 + others);
});

test('a receiver that answers 500 to everything for hours is asked now and then, and gets all in the end', async () => {
  await accept(300);
  answer = () => ERRED;
  const sender = begin();
  for (let seconds = 0; seconds < 7_200; seconds += 2) {
    await sender.look();
    now += 2_000;
  }
  assert.ok(posts.length < 80, `${posts.length} requests`);
  assert.equal(sender.figures.failure, 'HTTP status 500');
  answer = () => TAKEN;
  for (let seconds = 0; seconds < 600; seconds += 2) {
    await sender.look();
    now += 2_000;
  }
  assert.deepEqual([spool.outbox.size, counts['sent'], counts['dropped']], [0, 300, undefined]);
});

test('an event that is damaged in the store is dropped, counted and told; the others go', async () => {
  await accept(3);
  const [, { key } = assert.fail()] = spool.outbox.list(3);
  await spool.close();
  inFile(join(dirs.stateDir, 'queue.db'), (database) =>
    database.prepare('UPDATE events SET value = zeroblob(200) WHERE key = ?').run(key),
  );
  spool = new Spool(dirs.stateDir);
  await begin().look();
  assert.deepEqual([counts['sent'], counts['dropped'], spool.outbox.size], [2, 1, 0]);
  assert.deepEqual(logged, ['events_dropped']);
  assert.deepEqual(
    posts.map((one) => eventsIn(one).length),
    [2],
  );
});
