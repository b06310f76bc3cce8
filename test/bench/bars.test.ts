import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barsOf, type Measured, missedBars } from './bars.ts';

const FINE: Measured = {
  relays: 100,
  steadyS: 5,
  writesAtStart: 0,
  anonMb: 100,
  callsAtRest: 0,
  idleCpu: 0.1,
  ownP50Ms: 10,
  ownP99Ms: 60,
  cpuMsPerEdit: 20,
  callsPerEdit: 6,
};
const missed = (...results: Measured[]) => missedBars(barsOf(results).split('\n'));

test('each bar that is met and each that is missed has its row, with what was measured', () => {
  const all = [FINE, { ...FINE, relays: 200, idleCpu: 0.8 }, { ...FINE, relays: 1_000, ownP99Ms: 130.456 }];
  assert.match(barsOf(all), /^\| 1000 MailRelays: own share of an edit, p50 ms <= 25 \| 10 \| met \|$/m);
  assert.deepEqual(missed(...all), [
    '1000 MailRelays: own share of an edit, p99 ms <= 100: 130.46',
    '200 MailRelays: CPU at rest, % of a core <= 0.5: 0.8',
  ]);
});

test('a write at a start, a call at rest, memory, and an edit that costs more with more MailRelays are missed', () => {
  const worse = { ...FINE, relays: 1_000, writesAtStart: 1, callsAtRest: 2, anonMb: 301, cpuMsPerEdit: 30 };
  assert.deepEqual(missed(FINE, worse), [
    '1000 MailRelays: anonymous memory, MB <= 300: 301',
    '1000 MailRelays: writes at a start with all settled <= 0: 1',
    '1000 MailRelays: calls at rest beside watches and Lease <= 0: 2',
    'CPU of an edit with 1000, to that with 100 MailRelays <= 1.25: 1.5',
  ]);
});

test('what could not be measured is missed', () => {
  assert.deepEqual(missed({ ...FINE, relays: 1_000, ownP50Ms: Number.NaN }), [
    '1000 MailRelays: own share of an edit, p50 ms <= 25: NaN',
  ]);
});
