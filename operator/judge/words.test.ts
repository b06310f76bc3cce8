/** Every message with a count, for none, one, two and many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { listEvents } from '../report/events.ts';
import { renderStatus } from '../report/status.ts';
import type { Obstacle } from '../world.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';
import { counted, countedAmong, every, listed, quoted } from './words.ts';

const NUMBERS = [0, 1, 2, 3, 7];
const range = (count: number) => Array.from({ length: count }, (_, n) => n);

function worlds(count: number): Record<string, Partial<Judged>> {
  const relay = relayObject({ replicas: count });
  const pods = (make: (n: number) => ReturnType<typeof podView>) => range(count).map(make);
  const report = podReport(relay);
  const named = (n: number) => podView(`relay-${n}`, report);
  return {
    serving: { pods: pods(named) },
    'gaps of the policy': {
      pods: pods((n) =>
        podView(`relay-${n}`, podReport(relay, { notInForce: range(count).map((gap) => `gap ${gap}`) })),
      ),
    },
    'nothing yet': { pods: [] },
    'not ready': { pods: pods((n) => podView(`relay-${n}`, undefined, { ready: false })) },
    'not ready for a reason': {
      pods: pods((n) =>
        podView(`relay-${n}`, undefined, {
          ready: false,
          trouble: { reason: 'Unschedulable', message: 'Unschedulable', isStuck: false },
        }),
      ),
    },
    silent: { pods: pods((n) => podView(`relay-${n}`, undefined)) },
    'an earlier policy': {
      pods: pods((n) => podView(`relay-${n}`, podReport(relay, { policy: { hash: 'old', refused: null } }))),
    },
    leaving: {
      pods: pods(named),
      leaving: range(count).map((n) =>
        podView(
          `relay-${count + n}`,
          podReport(relay, { evacuation: { state: 'HandingOver', message: null } }),
        ),
      ),
    },
    'names taken': {
      pods: pods(named),
      obstacles: range(count).map((n): Obstacle => ({ kind: 'nameTaken', object: `Service/relay-${n}` })),
    },
    'made anew': {
      pods: pods(named),
      obstacles: range(count).map((n): Obstacle => ({ kind: 'going', object: `Service/relay-${n}` })),
    },
    'other certificates': {
      pods: pods((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, { certificate: report.certificate && { ...report.certificate, serial: `${n}` } }),
        ),
      ),
    },
  };
}

function assertReads(text: string, what: string): void {
  assert.doesNotMatch(
    text,
    /\b1 (pods|fields|sessions|listeners|messages|names)\b/,
    `${what}: one of several`,
  );
  assert.doesNotMatch(
    text,
    /\b(0|[2-9]|\d\d+) (pod|field|session|listener|message|name)\b/,
    `${what}: several of one`,
  );
  assert.doesNotMatch(text, /\bAll (0|1|2)\b|\bEvery pod serves .*pods\b/i, `${what}: all of too few`);
  assert.doesNotMatch(text, /undefined|NaN|\[object|, ,|: :| {2}|: $|^\W/, `${what}: a gap`);
  assert.doesNotMatch(text, /\b(pod|it|The pod) (are|serve|go|stay|wait|have)\b/, `${what}: one does`);
  assert.doesNotMatch(text, /\b(pods|they|[2-9]) (is|serves|goes|stays|waits|has)\b/, `${what}: several do`);
}

for (const count of NUMBERS) {
  for (const [what, changes] of Object.entries(worlds(count))) {
    test(`with ${count}: ${what}`, () => {
      const relay = relayObject({ replicas: count });
      const world: Judged = { obstacles: [], ...settledWorld({ relay, ...changes }), ...changes };
      for (const [type, finding] of Object.entries(judge(world)))
        assertReads(finding?.message ?? '', `${type} ${finding?.message}`);
      for (const { note } of listEvents(undefined, renderStatus(world))) assertReads(note, `event ${note}`);
    });
  }
}

test('the words themselves', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => counted(count, 'pod')),
    ['no pods', '1 pod', '2 pods'],
  );
  assert.deepEqual(
    [1, 2, 3].map((count) => every(count, 'pod')),
    ['The pod', 'Both pods', 'All 3 pods'],
  );
  assert.deepEqual([countedAmong(0, 1, 'pod'), countedAmong(1, 2, 'pod')], ['0 of 1 pod', '1 of 2 pods']);
  assert.deepEqual(
    [[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map((names) => listed(names, 2)),
    ['', 'a', 'a and b', 'a, b and 1 more'],
  );
  assert.equal(quoted(' a\n  b ', 3), 'a b');
  assert.equal(quoted('abcd', 3), 'ab…');
  assert.equal(quoted('a😀bc', 3), 'a…');
});
