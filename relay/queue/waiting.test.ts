import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { type Waiting, WaitingMessages } from './waiting.ts';

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

const KINDS: readonly Partial<Waiting>[] = [
  // Most mail is new.
  ...Array.from({ length: 8 }, () => ({})),
  { wasTried: true },
  { failure },
  { failure, isAway: true },
  { round: { deferred: [], alone: [] } },
];
const idOf = fc.nat(60).map((number) => String(number).padStart(16, '0'));
const added = fc.record({
  id: idOf,
  after: fc.integer({ min: -9, max: 9 }),
  kind: fc.constantFrom(...KINDS),
});
const stepOf = fc.oneof(
  added.map((one) => ({ does: 'add', ...one }) as const),
  fc.nat(9).map((after) => ({ does: 'next', after }) as const),
  fc
    .record({ ids: fc.uniqueArray(idOf, { size: 'medium' }), isSet: fc.boolean() })
    .map((one) => ({ does: 'hurry', ...one }) as const),
  fc.constant({ does: 'reached' } as const),
);

test('whatever is added, hurried and taken, each message comes once, and none before it is due', () => {
  fc.assert(
    fc.property(
      fc.array(added, { minLength: 30, maxLength: 60 }),
      fc.array(stepOf, { size: 'medium' }),
      (first, steps) => {
        const line = new WaitingMessages('other');
        const waits = new Map<string, Waiting>();
        const hurried = new Set<string>();
        let now = 10;
        for (const step of [...first.map((one) => ({ does: 'add', ...one }) as const), ...steps]) {
          if (step.does === 'add') {
            const waiting: Waiting = { id: step.id, share: 'other', due: now + step.after, ...step.kind };
            line.add(waiting, now);
            if (!waits.has(step.id)) waits.set(step.id, waiting);
          } else if (step.does === 'reached') {
            line.reached(now + 5);
            for (const [id, { isAway, ...one }] of waits)
              if (isAway && !hurried.has(id)) waits.set(id, { ...one, due: Math.min(one.due, now + 5) });
          } else if (step.does === 'hurry') {
            const ids = new Set(step.ids.filter((id) => waits.has(id)));
            const has = line.hurry(step.isSet ? new Set(step.ids) : (id) => step.ids.includes(id));
            assert.equal(has, ids.size > 0);
            for (const id of ids) hurried.add(id);
          } else {
            now += step.after;
            const due = [...waits.values()].filter((one) => hurried.has(one.id) || one.due <= now);
            const taken = line.next(now);
            assert.equal(taken !== undefined, due.length > 0);
            assert.ok(taken === undefined || due.some(({ id }) => id === taken.id));
            const isPutOff = ({ id }: Waiting) => waits.get(id)?.failure !== undefined;
            if (taken && due.some((one) => hurried.has(one.id) && isPutOff(one)))
              assert.ok(hurried.has(taken.id));
            assert.equal(taken?.failure, waits.get(taken?.id ?? '')?.failure);
            waits.delete(taken?.id ?? '');
            hurried.delete(taken?.id ?? '');
          }
          const dues = [...waits.values()].map(({ id, due }) => (hurried.has(id) ? now : Math.max(due, now)));
          assert.equal(line.nextDue(now) ?? Number.POSITIVE_INFINITY, Math.min(...dues));
          assert.equal(line.size, waits.size);
          assert.equal(line.only?.id, waits.size === 1 ? [...waits.keys()][0] : undefined);
          for (const [id, { due }] of waits) {
            assert.ok(line.has(id));
            const found = line.get(id)?.due ?? Number.NaN;
            assert.ok(found === due || (hurried.has(id) && found === 0));
          }
        }
      },
    ),
    { numRuns: 50 },
  );
});
