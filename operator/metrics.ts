/** The Prometheus metrics of the operator. Gauges are read when asked. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface ControllerFigures {
  readonly queueDepth: number;
  readonly watchRestarts: number;
  readonly lastEventAt: number;
  readonly leading: boolean;
}

export class OperatorMetrics {
  readonly #registry = new Registry();
  readonly #reconciles = new Counter({
    name: 'mailrelay_operator_reconciles_total',
    help: 'Reconciles by result',
    labelNames: ['result'],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: 'mailrelay_operator_reconcile_seconds',
    help: 'Duration of a reconcile',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers: [this.#registry],
  });
  readonly #depth = this.#gauge('mailrelay_operator_queue_depth', 'MailRelays that wait to be reconciled');
  readonly #restarts = this.#gauge(
    'mailrelay_operator_watch_restarts',
    'Watches that had to be taken up again',
  );
  readonly #age = this.#gauge('mailrelay_operator_last_event_age_seconds', 'Age of the oldest watch news');
  readonly #leader = this.#gauge('mailrelay_operator_leader', '1 while this process leads');

  reconciled(result: 'ok' | 'error', ms: number): void {
    this.#reconciles.inc({ result });
    this.#seconds.observe(ms / 1000);
  }

  render({ queueDepth, watchRestarts, lastEventAt, leading }: ControllerFigures): Promise<string> {
    this.#depth.set(queueDepth);
    this.#restarts.set(watchRestarts);
    this.#age.set(lastEventAt > 0 ? (Date.now() - lastEventAt) / 1000 : 0);
    this.#leader.set(leading ? 1 : 0);
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.#registry] });
  }
}
