import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { COUNTERS, HISTOGRAMS } from '#relay/observe/metricfamilies.ts';
import fc from '#test/kit/property.ts';
import { LastHour, METRICS } from './lasthour.ts';
import { estimateQuantile, parseMetrics } from './metricstext.ts';

const STATUS = { queue: { depth: 3, held: 1 }, sessions: { open: 2 } } as PodStatus;
const reading = (metrics: string) => ({ status: STATUS, metrics });
const accepted = (count: number) => reading(`mailrelay_messages_accepted_total{listener="smtp"} ${count}\n`);
const pods = (...counts: readonly number[]) =>
  new Map(counts.map((count, index) => [`relay-${index}`, accepted(count)]));

test('the relay has every metric that is read', () => {
  const known = [...Object.values(COUNTERS), ...Object.values(HISTOGRAMS)].map(({ name }) => name);
  for (const name of Object.values(METRICS)) assert.ok(known.includes(name), name);
});

test('a rate is that of all pods since the look before; a relay that was started again counts from zero', () => {
  const hour = new LastHour();
  hour.add(pods(10, 100), 10_000);
  hour.add(pods(30, 100), 20_000);
  hour.add(pods(5, 110), 30_000);
  assert.deepEqual(
    hour.after(0).map((sample) => sample.accepted),
    [null, 2, 1.5],
  );
  assert.deepEqual(
    hour.after(10_000).map(({ time, depth, held, open }) => [time, depth, held, open]),
    [
      [20_000, 6, 2, 4],
      [30_000, 6, 2, 4],
    ],
  );
});

test('a pod that is new or away counts nothing, and what is older than an hour goes', () => {
  const hour = new LastHour();
  hour.add(pods(10), 10_000);
  hour.add(pods(10, 5_000), 20_000);
  hour.add(new Map(), 30_000);
  assert.deepEqual(
    hour.after(0).map((sample) => [sample.accepted, sample.depth]),
    [
      [null, 3],
      [0, 6],
      [null, null],
    ],
  );
  hour.add(pods(10), 3_625_000);
  assert.equal(hour.after(0).length, 2);
});

test('a pod that tells no metrics has no rates, but a queue', () => {
  const hour = new LastHour();
  const silent = new Map([['relay-0', reading('')]]);
  hour.add(silent, 10_000);
  hour.add(silent, 20_000);
  assert.deepEqual(
    hour.after(10_000).map((sample) => [sample.accepted, sample.acceptSeconds, sample.depth]),
    [[null, null, 3]],
  );
});

const BOUNDS = [0.005, 0.05, 0.5, 5];

test('a quantile lies in the bucket that has it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.0001, max: 4.9, noNaN: true }), { minLength: 1 }), (times) => {
      const bounds = [...BOUNDS, Number.POSITIVE_INFINITY];
      const buckets = bounds.map((upTo) => ({ upTo, count: times.filter((one) => one <= upTo).length }));
      const exact = times.toSorted((a, b) => a - b)[Math.ceil(0.95 * times.length) - 1] ?? 0;
      const upper = BOUNDS.find((bound) => exact <= bound) ?? 5;
      const lower = BOUNDS.findLast((bound) => bound < exact) ?? 0;
      const estimated = estimateQuantile(buckets, 0.95) ?? -1;
      assert.ok(lower <= estimated && estimated <= upper, `${estimated} is not from ${lower} to ${upper}`);
    }),
  );
});

test('without observations there is no quantile, and beyond the last bound it is that bound', () => {
  assert.equal(estimateQuantile([], 0.95), null);
  assert.equal(estimateQuantile([{ upTo: 1, count: 0 }], 0.95), null);
  const late = [
    { upTo: 1, count: 0 },
    { upTo: Number.POSITIVE_INFINITY, count: 4 },
  ];
  assert.equal(estimateQuantile(late, 0.95), 1);
});

test('any text can be read as metrics', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseMetrics(text)));
  const { counters, histograms } = parseMetrics(
    '# HELP a b\na_total{x="1"} 2\na_total{x="2"} 3\nb_bucket{le="0.5"} 1\nb_bucket{le="+Inf"} 4\nb_sum NaN\n',
  );
  assert.deepEqual([...counters], [['a_total', 5]]);
  assert.deepEqual(histograms.get('b'), [
    { upTo: 0.5, count: 1 },
    { upTo: Number.POSITIVE_INFINITY, count: 4 },
  ]);
});
