import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { judgeChange, judgeTrial, type Preflight, type TrialResult } from './preflight.ts';

const failure = makeFailure({ cause: 'login', status: '4.7.8', text: 'hop:587 refuses our login (535)' });
const RESULTS: readonly TrialResult[] = [
  { kind: 'accepted' },
  { kind: 'refused', failure },
  { kind: 'untold' },
];

test('the whole table: what is used after a change, and after its trial', () => {
  const rows: string[] = [];
  for (const isOldGood of [true, false]) {
    for (const isWithdrawn of [false, true]) {
      const change = judgeChange({ isOldGood, isWithdrawn });
      const title = `old ${isOldGood ? 'good' : 'bad'}, new ${isWithdrawn ? 'withdrawn' : 'there'}`;
      if (change.kind === 'take') rows.push(`${title}: take`);
      else
        for (const result of RESULTS)
          rows.push(`${title}: try; ${result.kind}: ${judgeTrial(change, result).kind}`);
    }
  }
  assert.deepEqual(rows, [
    'old good, new there: try; accepted: take',
    'old good, new there: try; refused: try',
    'old good, new there: try; untold: take',
    'old good, new withdrawn: take',
    'old bad, new there: take',
    'old bad, new withdrawn: take',
  ]);
});

test('a refusal is tried again after longer and longer pauses, an hour at most, and keeps its reason', () => {
  let one: Preflight = judgeChange({ isOldGood: true, isWithdrawn: false });
  const minutes: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    assert.ok(one.kind === 'try');
    assert.equal(one.refusals, round);
    assert.equal(one.failure, round === 0 ? null : failure);
    minutes.push(one.afterMs / 60_000);
    one = judgeTrial(one, { kind: 'refused', failure });
  }
  assert.deepEqual(minutes, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
  assert.ok(one.kind === 'try');
  assert.equal(judgeTrial(one, { kind: 'untold' }).kind, 'take');
});
