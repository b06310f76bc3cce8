/** Each recipient of a message by itself: delivered, refused or put off, in groups and alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, enter, enterFrom, events, queuedIn, runnerWith, spool } from '#test/kit/managerrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { judgeReply } from '../delivery/verdict.ts';

test('a recipient that is refused for good is told of, and the delivered one not delivered again', async () => {
  const sent: { from: string; to: readonly string[] }[] = [];
  const manager = runnerWith((_hop, { from, to, ...parcel }) => {
    sent.push({ from, to });
    return all({ from, to, ...parcel }, to[0] === 'a@dead.example' ? 550 : 250);
  });
  const id = await enterFrom('me@x.example', 'a@dead.example', 'b@x.example');
  await manager.start();
  await eventually(() => manager.figures.depth === 0);
  assert.equal(queuedIn(id), 'gone');
  assert.deepEqual(
    sent.toSorted((a, b) => (a.to < b.to ? -1 : 1)),
    [
      { from: 'me@x.example', to: ['a@dead.example'] },
      { from: 'me@x.example', to: ['b@x.example'] },
      { from: '', to: ['me@x.example'] },
    ],
  );
});

test('what has no sender is told to nobody', async () => {
  const manager = runnerWith((_hop, parcel) => all(parcel, 550));
  const id = await enter('a@x.example');
  await manager.start();
  await eventually(() => manager.figures.depth === 0);
  assert.equal(queuedIn(id), 'gone');
  assert.deepEqual(
    events.map(({ event }) => event),
    ['bounced', 'discarded'],
  );
});

test('a recipient that is put off is tried again, and alone', async () => {
  const tries: string[][] = [];
  let now = 1_000_000;
  const manager = runnerWith(
    (_hop, parcel) => {
      tries.push([...parcel.to]);
      const verdicts = parcel.to.map((address) =>
        address.startsWith('later') && tries.length === 1
          ? judgeReply(450, '450 later')
          : judgeReply(250, 'ok'),
      );
      return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: false };
    },
    () => now,
  );
  const id = await enter('a@x.example', 'later@x.example');
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  assert.deepEqual(queuedIn(id), ['later@x.example queued']);
  now += 30 * 60_000;
  manager.add(await enter('b@x.example'));
  await eventually(() => spool.depth === 0);
  assert.deepEqual(tries, [['a@x.example', 'later@x.example'], ['later@x.example'], ['b@x.example']]);
});

test('many recipients go in groups that next hops take', async () => {
  const groups: number[] = [];
  const manager = runnerWith((_hop, parcel) => {
    groups.push(parcel.to.length);
    return all(parcel, 250);
  });
  await enter(...Array.from({ length: 250 }, (_, index) => `a${index}@x.example`));
  await manager.start();
  await eventually(() => spool.depth === 0);
  assert.deepEqual(groups, [100, 100, 50]);
});

test('a recipient that is put off holds up no other group of its message', async () => {
  const sent: number[] = [];
  const manager = runnerWith((_hop, parcel) => {
    sent.push(parcel.to.length);
    const verdicts = parcel.to.map((address) =>
      address === 'a0@x.example' ? judgeReply(450, '450 later') : judgeReply(250, 'ok'),
    );
    return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: false };
  });
  const id = await enter(...Array.from({ length: 250 }, (_, index) => `a${index}@x.example`));
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  assert.deepEqual(queuedIn(id), ['a0@x.example queued']);
  assert.deepEqual(sent, [100, 100, 50]);
  assert.deepEqual(manager.figures.deferrals, [
    { destination: 'first:1,second:2', cause: 'reply', message: '450 later' },
  ]);
});
