import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outboundPosture } from '#crds/outboundposture.ts';
import type { JudgedDestination } from '../task/messages.ts';
import { OutboundPosture } from './outboundposture.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1, 10);

const missing = { cause: 'starttls-missing', message: 'mx:25 does not offer STARTTLS' } as const;
const misnamed = { cause: 'certificate-host-mismatch', message: 'another name' } as const;
const unsigned = { cause: 'dane-required', message: 'no TLSA record' } as const;

const counts = (labels: string, count = 1) => ({ [`outbound{${labels}}`]: count });
const TLS = 'Encrypt,TLSv1.3,X25519MLKEM768,nothing,no';
const PLAIN = 'None,none,none,nothing,starttls-missing';

function posture(text?: string) {
  let now = START;
  const one = new OutboundPosture(() => now, text);
  return {
    one,
    later: (ms: number) => {
      now += ms;
    },
    add: (figures: Record<string, number>, ...judged: JudgedDestination[]) =>
      one.add({ counts: figures, observations: {}, judged }),
    waiting: (level: string) => {
      const found = one.describe().wouldWait.find((each) => each.level === level);
      return found && [found.destinations, found.list.map(({ destination }) => destination)];
    },
  };
}

test('deliveries are counted by level, version, group, proof and reason, the largest share first', () => {
  const { one, add } = posture();
  add({ ...counts(TLS, 3), ...counts(PLAIN), 'delivered{mx}': 4, 'outboundary{x}': 9 });
  const { deliveries, level, version, group, verifiedBy, fellBack } = one.describe();
  assert.equal(deliveries, 4);
  assert.deepEqual(level, [
    { value: 'Encrypt', count: 3 },
    { value: 'None', count: 1 },
  ]);
  assert.deepEqual(
    version.map(({ value }) => value),
    ['TLSv1.3', 'none'],
  );
  assert.deepEqual(
    group.map(({ value }) => value),
    ['X25519MLKEM768', 'none'],
  );
  assert.deepEqual(verifiedBy, [{ value: 'nothing', count: 4 }]);
  assert.deepEqual(
    fellBack.map(({ value }) => value),
    ['no', 'starttls-missing'],
  );
});

test('the last judgement of a destination counts, and a level that was never judged is absent', () => {
  const { add, waiting } = posture();
  add({}, { destination: 'a.example', judged: { Encrypt: missing, Verify: missing } });
  add({}, { destination: 'b.example', judged: { Encrypt: null, Verify: misnamed } });
  assert.deepEqual(waiting('Encrypt'), [1, ['a.example']]);
  assert.deepEqual(waiting('Verify'), [2, ['b.example', 'a.example']]);
  assert.equal(waiting('Dane'), undefined);
  add({}, { destination: 'a.example', judged: { Encrypt: null, Verify: null, Dane: null } });
  assert.deepEqual(waiting('Encrypt'), [0, []]);
  assert.deepEqual(waiting('Verify'), [1, ['b.example']]);
  assert.deepEqual(waiting('Dane'), [0, []]);
});

test('ten destinations are listed, and a thousand of each level are kept and counted', () => {
  const { one, add, waiting } = posture();
  for (let n = 0; n < 1_200; n += 1) add({}, { destination: `d${n}.example`, judged: { Encrypt: missing } });
  const [destinations, list] = waiting('Encrypt') ?? [];
  assert.equal(destinations, 1_000);
  assert.deepEqual(
    list,
    Array.from({ length: 10 }, (_, n) => `d${1_199 - n}.example`),
  );
  assert.ok(outboundPosture.safeParse(one.describe()).success);
});

test('ten thousand destinations that need nothing, or wait at another level, push out none that would wait', () => {
  const { one, add, waiting } = posture();
  add({}, { destination: 'plain.example', judged: { Encrypt: missing, Verify: missing, Dane: unsigned } });
  for (let n = 0; n < 10_000; n += 1)
    add(counts(TLS), {
      destination: `d${n}.example`,
      judged: { Encrypt: null, Verify: null, Dane: n % 2 === 0 ? null : unsigned },
    });
  assert.deepEqual(waiting('Encrypt'), [1, ['plain.example']]);
  assert.deepEqual(waiting('Verify'), [1, ['plain.example']]);
  assert.equal(waiting('Dane')?.[0], 1_000);
  assert.deepEqual(posture(one.news()).one.describe(), one.describe());
});

test('destinations of one moment keep their order over a restart, at each level', () => {
  const { one, add } = posture();
  add({}, { destination: 'first.example', judged: { Encrypt: null, Verify: misnamed } });
  add({}, { destination: 'second.example', judged: { Encrypt: missing, Verify: missing } });
  add({}, { destination: 'third.example', judged: { Encrypt: null, Verify: misnamed } });
  assert.deepEqual(posture(one.news()).one.describe(), one.describe());
});

test('after a step of the clock back a time that is still to come counts as now, and ends after seven days', () => {
  const { one, add, later, waiting } = posture();
  later(400 * DAY);
  add(counts(PLAIN), { destination: 'a.example', judged: { Encrypt: missing } });
  const text = one.news();
  const told = () => [one.describe().deliveries, waiting('Encrypt'), one.describe().wouldWait[0]?.list[0]];
  later(-400 * DAY);
  const expected = { destination: 'a.example', ...missing, lastSeen: '2026-01-01T10:00:00Z' };
  assert.deepEqual(told(), [1, [1, ['a.example']], expected]);
  const restarted = posture(text);
  assert.deepEqual(restarted.one.describe(), one.describe());
  for (const { later: pass, one: each } of [{ later, one }, restarted]) {
    pass(8 * DAY);
    assert.deepEqual([each.describe().deliveries, each.describe().wouldWait], [0, []]);
  }
});

test('the text of an earlier relay is read, and an earlier relay reads ours', () => {
  const seen = (judged: object) => ({ at: START - DAY, judged });
  const destinations = [
    ['good.example', seen({ Encrypt: null, Verify: null })],
    ['bad.example', seen({ Encrypt: null, Verify: misnamed })],
  ];
  const { one, waiting } = posture(JSON.stringify({ parts: [], destinations }));
  assert.deepEqual(
    [waiting('Encrypt'), waiting('Verify')],
    [
      [0, []],
      [1, ['bad.example']],
    ],
  );
  one.add({ counts: counts(TLS), observations: {} });
  const saved = JSON.parse(one.news() ?? '');
  assert.deepEqual(saved.destinations, [['bad.example', seen({ Verify: misnamed })]]);
});

test('after seven days deliveries and destinations are forgotten', () => {
  const { one, add, later, waiting } = posture();
  add(counts(PLAIN), { destination: 'a.example', judged: { Encrypt: missing } });
  later(4 * DAY);
  add(counts(TLS), { destination: 'b.example', judged: { Encrypt: missing } });
  later(3 * DAY - HOUR);
  assert.deepEqual([one.describe().deliveries, waiting('Encrypt')], [2, [2, ['b.example', 'a.example']]]);
  later(7 * HOUR);
  assert.deepEqual([one.describe().deliveries, waiting('Encrypt')], [1, [1, ['b.example']]]);
  later(5 * DAY);
  assert.deepEqual([one.describe().deliveries, waiting('Encrypt')], [0, undefined]);
});

test('the data is told when it is new, and read again; a text that is not ours counts as empty', () => {
  const { one, add } = posture();
  assert.equal(one.news(), undefined);
  add(counts(TLS), { destination: 'a.example', judged: { Verify: misnamed } });
  const text = one.news();
  assert.equal(one.news(), undefined);
  assert.deepEqual(posture(text).one.describe(), one.describe());
  assert.equal(one.describe().wouldWait[0]?.list[0]?.lastSeen, '2026-01-01T10:00:00Z');
  for (const other of [
    '',
    '{',
    '[]',
    'null',
    '{"parts":[1]}',
    '{"destinations":[["a",null]]}',
    '{"parts":{}}',
  ])
    assert.equal(posture(other).one.describe().deliveries, 0, other);
});

test('a saved text with values of another kind makes no status that nobody can read', () => {
  const good = ['good.example', { at: START, judged: { Encrypt: missing, Verify: null } }];
  const withReason = (reason: unknown) => ({
    parts: [],
    destinations: [['a.example', { at: START, judged: { Encrypt: reason } }], good],
  });
  const withCount = (count: unknown) => ({ parts: [[START, [[TLS, count]]]], destinations: [good] });
  for (const saved of [
    ...['x', true, 5, {}, [], { message: 5 }, { cause: 'handshake' }].map(withReason),
    ...[-5, 1.5, 1e12, '1'].map(withCount),
    { parts: [], destinations: [['a.example', { at: START, judged: 'Encrypt' }], good] },
  ]) {
    const { one } = posture(JSON.stringify(saved));
    const described = one.describe();
    assert.deepEqual(outboundPosture.safeParse(described).error?.issues, undefined, JSON.stringify(saved));
    assert.deepEqual(described.wouldWait[0]?.list[0]?.destination, 'good.example', JSON.stringify(saved));
    assert.equal(described.deliveries, 0);
  }
  const { cause: _, ...older } = missing;
  assert.equal(posture(JSON.stringify(withReason(older))).waiting('Encrypt')?.[0], 2);
});
