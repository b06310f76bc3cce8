/**
 * The figures of the last hour, for the plots. They are kept here and not in the relay. Each look of a page adds a
 * sample; while no page looks there are none, and the next one has the mean of that time.
 */
import type { Outcomes, Sample } from './api.ts';
import {
  type Bucket,
  bucketsSince,
  countSince,
  estimateQuantile,
  parseMetrics,
  sumBuckets,
  type Totals,
} from './metricstext.ts';
import type { Reading } from './relays.ts';

const HOUR_MS = 3_600_000;
const SHARE = 0.95;

/** The metrics that are read. */
export const METRICS = {
  accepted: 'mailrelay_messages_accepted_total',
  delivered: 'mailrelay_recipients_delivered_total',
  deferred: 'mailrelay_deferrals_total',
  bounced: 'mailrelay_recipients_bounced_total',
  refused: 'mailrelay_refusals_total',
  acceptSeconds: 'mailrelay_accept_duration_seconds',
  deliverySeconds: 'mailrelay_delivery_duration_seconds',
} as const;

/** Two readings of one pod, one after the other. */
interface Step {
  readonly before: Totals;
  readonly now: Totals;
}

export class LastHour {
  #samples: readonly Sample[] = [];
  #totals: ReadonlyMap<string, Totals> = new Map();
  #time = 0;

  /** The readings of all pods that answered, by their names. */
  add(readings: ReadonlyMap<string, Reading>, time: number): void {
    const told = [...readings].filter(([, { metrics }]) => metrics !== '');
    const totals = new Map(told.map(([pod, { metrics }]) => [pod, parseMetrics(metrics)]));
    const steps = [...totals].flatMap(([pod, now]): Step[] => {
      const before = this.#totals.get(pod);
      return before ? [{ before, now }] : [];
    });
    const sample = {
      time,
      ...readRates(steps, (time - this.#time) / 1000),
      ...readTimes(steps),
      ...readGauges([...readings.values()]),
    };
    this.#samples = [...this.#samples.filter((one) => one.time > time - HOUR_MS), sample];
    this.#totals = totals;
    this.#time = time;
  }

  after(time: number): readonly Sample[] {
    return this.#samples.filter((sample) => sample.time > time);
  }
}

export function countOutcomes({ metrics }: Reading): Outcomes {
  const { counters } = parseMetrics(metrics);
  const count = (name: string) => counters.get(name) ?? 0;
  return {
    delivered: count(METRICS.delivered),
    deferred: count(METRICS.deferred),
    bounced: count(METRICS.bounced),
  };
}

function readRates(steps: readonly Step[], seconds: number) {
  const rate = (name: string): number | null =>
    steps.length === 0 || seconds <= 0
      ? null
      : steps.reduce((sum, { before, now }) => sum + countSince(before, now, name), 0) / seconds;
  return {
    accepted: rate(METRICS.accepted),
    delivered: rate(METRICS.delivered),
    deferred: rate(METRICS.deferred),
    refused: rate(METRICS.refused),
  };
}

function readTimes(steps: readonly Step[]) {
  const buckets = (name: string): readonly Bucket[] =>
    sumBuckets(steps.map(({ before, now }) => bucketsSince(before, now, name)));
  return {
    acceptSeconds: estimateQuantile(buckets(METRICS.acceptSeconds), SHARE),
    deliverySeconds: estimateQuantile(buckets(METRICS.deliverySeconds), SHARE),
  };
}

function readGauges(readings: readonly Reading[]) {
  const sum = (figure: (reading: Reading) => number): number | null =>
    readings.length === 0 ? null : readings.reduce((all, one) => all + figure(one), 0);
  return {
    depth: sum(({ status }) => status.queue.depth),
    held: sum(({ status }) => status.queue.held),
    open: sum(({ status }) => status.sessions.open),
  };
}
