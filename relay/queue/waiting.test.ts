import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { WaitingMessages } from './waiting.ts';

const failure = makeFailure({ cause: 'reply', status: '4.2.2', text: '452 4.2.2 full', command: 'RCPT TO' });
const names = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(2, '0')}`.padEnd(16));

function lineWith(deferred: readonly string[], fresh: readonly string[]): WaitingMessages {
  const line = new WaitingMessages('configured');
  for (const id of deferred) line.add({ id, share: 'configured', due: 100, failure }, 0);
  for (const id of fresh) line.add({ id, share: 'configured', due: 150 }, 150);
  return line;
}

test('new mail has every second turn, although mail that was put off is due again as soon as it was tried', () => {
  const line = lineWith(names('old', 50), names('new', 10));
  const taken: string[] = [];
  for (let now = 200; now < 220; now++) {
    const waiting = line.next(now);
    taken.push(waiting?.id.trim() ?? 'none');
    if (waiting?.failure) line.add({ ...waiting, due: now }, now);
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 20 }, (_, index) => `${index % 2 === 0 ? 'old0' : 'new0'}${Math.floor(index / 2)}`),
  );
});

test('new mail has every second turn beside what an earlier process has tried, whether that is due already or later', () => {
  const line = new WaitingMessages('configured');
  const old = names('old', 40);
  for (const [at, id] of old.entries())
    line.add({ id, share: 'configured', due: at < 20 ? 50 : 100, wasTried: true }, 50);
  const fresh = names('new', 10);
  for (const id of fresh) line.add({ id, share: 'configured', due: 150 }, 150);
  const taken = Array.from({ length: 20 }, () => line.next(200)?.id);
  assert.deepEqual(
    taken,
    fresh.flatMap((id, at) => [old[at], id]),
  );
});

test('no turn is lost where only one kind may go', () => {
  const [old, fresh] = [names('old', 9), names('new', 3)];
  const line = lineWith(old, fresh);
  const take = (now: number, count: number) => Array.from({ length: count }, () => line.next(now)?.id);
  assert.deepEqual(take(50, 2), fresh.slice(0, 2));
  assert.deepEqual(take(200, 4), [old[0], fresh[2], old[1], old[2]]);
  assert.deepEqual(take(200, 7), [...old.slice(3), undefined]);
  assert.equal(line.size, 0);
});

test('new mail keeps its order, although the first few wait in another place than all others', () => {
  const all = names('new', 40).slice(10);
  const line = lineWith([], all);
  assert.deepEqual(
    all.map(() => line.next(200)?.id),
    all,
  );
});

test('what a person wants tried now goes before all others, whatever was wanted before and waits beside it', () => {
  const [old, fresh] = [names('old', 20), names('new', 20)];
  for (const wanted of [fresh, fresh.slice(5, 8), old.slice(5, 8)]) {
    const line = lineWith(old, fresh);
    line.next(200);
    line.hurry((id) => old.slice(0, 3).includes(id) || fresh.slice(15).includes(id));
    line.hurry((id) => wanted.includes(id));
    assert.ok(wanted.includes(line.next(200)?.id ?? ''));
  }
  const line = lineWith(old, fresh.slice(0, 1));
  line.hurry((id) => fresh.includes(id));
  assert.equal(line.next(200)?.id, fresh[0]);
});
