/** Reads the figures that the plots need out of the metrics of a relay, and what has changed between two readings. Pure. */

/** What a relay has counted since its start. */
export interface Totals {
  /** By the name of the metric, over all labels. */
  readonly counters: ReadonlyMap<string, number>;
  /** By the name of the histogram: the count up to each bound, the lowest bound first. */
  readonly histograms: ReadonlyMap<string, readonly Bucket[]>;
}

export interface Bucket {
  /** Infinity for the last one. */
  readonly upTo: number;
  readonly count: number;
}

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const BUCKET = '_bucket';

export function parseMetrics(text: string): Totals {
  const counters = new Map<string, number>();
  const histograms = new Map<string, Bucket[]>();
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', figure = ''] = LINE.exec(line) ?? [];
    const value = Number(figure);
    if (name === '' || !Number.isFinite(value)) continue;
    if (!name.endsWith(BUCKET)) {
      counters.set(name, (counters.get(name) ?? 0) + value);
      continue;
    }
    const [, bound = ''] = /\ble="([^"]+)"/.exec(labels) ?? [];
    const upTo = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    const key = name.slice(0, -BUCKET.length);
    histograms.set(key, [...(histograms.get(key) ?? []), { upTo, count: value }]);
  }
  return { counters, histograms };
}

/** A relay that was started again counts from zero. */
export function countSince(before: Totals, now: Totals, name: string): number {
  const [old, count] = [before.counters.get(name) ?? 0, now.counters.get(name) ?? 0];
  return count < old ? count : count - old;
}

export function bucketsSince(before: Totals, now: Totals, name: string): readonly Bucket[] {
  const [old = [], buckets = []] = [before.histograms.get(name), now.histograms.get(name)];
  const isNew = (old.at(-1)?.count ?? 0) > (buckets.at(-1)?.count ?? 0);
  return buckets.map(({ upTo, count }, index) => ({
    upTo,
    count: isNew ? count : count - (old[index]?.count ?? 0),
  }));
}

/** The buckets of several pods as one. All pods have the same bounds. */
export function sumBuckets(all: readonly (readonly Bucket[])[]): readonly Bucket[] {
  const [first = []] = all;
  return first.map(({ upTo }, index) => ({
    upTo,
    count: all.reduce((sum, one) => sum + (one[index]?.count ?? 0), 0),
  }));
}

/**
 * The value that a share of the observations does not exceed, such as 0.95. Within a bucket they are taken as spread
 * evenly. Beyond the last bound nothing is known, so the answer is that bound. null without observations.
 */
export function estimateQuantile(buckets: readonly Bucket[], share: number): number | null {
  const rank = share * (buckets.at(-1)?.count ?? 0);
  if (rank === 0) return null;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const [below, found] = [buckets[index - 1] ?? { upTo: 0, count: 0 }, buckets[index]];
  if (!found || found.upTo === Number.POSITIVE_INFINITY) return below.upTo;
  const part = (rank - below.count) / (found.count - below.count);
  return below.upTo + (found.upTo - below.upTo) * part;
}
