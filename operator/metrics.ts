/** The Prometheus metrics of the operator; docs/operator-metrics.md lists them. Gauges are computed at each scrape. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NamespaceFigures, WatchFigures } from './caches.ts';

export interface ControllerFigures {
  readonly queueDepth: number;
  readonly queueOldestMs: number;
  readonly watches: readonly WatchFigures[];
  readonly leading: boolean;
  readonly namespaces?: readonly NamespaceFigures[];
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export class OperatorMetrics {
  readonly #registry = new Registry();
  readonly #reconciles = new Counter({
    ...this.#named('reconciles_total', 'Looks at a MailRelay, by how they ended'),
    labelNames: ['result'],
  });
  readonly #seconds = new Histogram({
    ...this.#named('reconcile_seconds', 'Duration of a look at a MailRelay'),
    buckets: SECONDS,
  });
  readonly #answers = new Histogram({
    ...this.#named('api_answer_seconds', 'How long the API server took for requests about MailRelays'),
    labelNames: ['method'],
    buckets: SECONDS,
  });
  readonly #depth = new Gauge(this.#named('queue_depth', 'MailRelays that wait to be looked at'));
  readonly #oldest = new Gauge(this.#named('queue_oldest_seconds', 'How long the first of them has waited'));
  readonly #restarts = new Counter({
    ...this.#named('watch_restarts_total', 'Lists and watches that failed and were taken up again'),
    labelNames: ['kind'],
  });
  readonly #age = new Gauge({
    ...this.#named(
      'last_event_age_seconds',
      'Time since a watch last heard anything; bookmarks come every minute',
    ),
    labelNames: ['kind'],
  });
  readonly #namespaces = new Gauge({
    ...this.#named(
      'namespace_watched',
      '0 for a namespace of --namespaces that is gone, or that may not be read; absent without --namespaces',
    ),
    labelNames: ['namespace'],
  });
  readonly #leader = new Gauge(this.#named('leader', '1 while this process leads'));

  reconciled(result: 'ok' | 'error', ms: number): void {
    this.#reconciles.inc({ result });
    this.#seconds.observe(ms / 1000);
  }

  answered(method: string, ms: number): void {
    this.#answers.observe({ method }, ms / 1000);
  }

  render({
    queueDepth,
    queueOldestMs,
    watches,
    leading,
    namespaces = [],
  }: ControllerFigures): Promise<string> {
    this.#depth.set(queueDepth);
    this.#oldest.set(queueOldestMs / 1000);
    this.#leader.set(leading ? 1 : 0);
    this.#restarts.reset();
    this.#age.reset();
    this.#namespaces.reset();
    for (const { namespace, watched } of namespaces) this.#namespaces.set({ namespace }, watched ? 1 : 0);
    const oldest = new Map<string, number>();
    for (const { kind, restarts, lastEventAt } of watches) {
      this.#restarts.inc({ kind }, restarts);
      // A kind that the cluster does not know has had no event.
      if (lastEventAt !== undefined) oldest.set(kind, Math.min(lastEventAt, oldest.get(kind) ?? lastEventAt));
    }
    for (const [kind, at] of oldest) this.#age.set({ kind }, (performance.now() - at) / 1000);
    return this.#registry.metrics();
  }

  /** Name, type, labels and help of each metric, for the page that lists them. */
  async list(): Promise<{ name: string; type: string; help: string }[]> {
    return (await this.#registry.getMetricsAsJSON()).map(({ name, type, help }) => ({
      name,
      type: String(type),
      help,
    }));
  }

  #named(name: string, help: string) {
    return { name: `mailrelay_operator_${name}`, help, registers: [this.#registry] };
  }
}
