/**
 * The Prometheus metrics of a relay: counters are the sums of what its task processes report (those that have ended
 * too), gauges are read off the status when asked. Names follow the conventions: unit and `_total` in the name.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Counts } from '../messages.ts';

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** By the name that the tasks count under. */
const COUNTERS: Readonly<Record<string, Metric>> = {
  sessions: { name: 'mailrelay_sessions_total', help: 'Sessions begun', labels: ['listener'] },
  sessions_closed: { name: 'mailrelay_sessions_closed_total', help: 'Sessions ended', labels: ['listener'] },
  session_errors: {
    name: 'mailrelay_session_errors_total',
    help: 'Sessions that broke',
    labels: ['listener'],
  },
  tls_sessions: {
    name: 'mailrelay_tls_sessions_total',
    help: 'TLS handshakes',
    labels: ['listener', 'version'],
  },
  accepted: {
    name: 'mailrelay_messages_accepted_total',
    help: 'Messages answered 250',
    labels: ['listener'],
  },
  refused: { name: 'mailrelay_refusals_total', help: 'Commands and messages refused', labels: ['reason'] },
  delivered: { name: 'mailrelay_recipients_delivered_total', help: 'Recipients delivered', labels: [] },
  deferred: { name: 'mailrelay_deferrals_total', help: 'Deliveries put off', labels: ['by'] },
  held: {
    name: 'mailrelay_recipients_held_total',
    help: 'Recipients refused for good, held',
    labels: ['by'],
  },
};

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges: Readonly<
    Record<'open' | 'old' | 'plain' | 'depth' | 'held' | 'oldest' | 'expiry' | 'ready', Gauge>
  >;

  constructor() {
    for (const [key, { name, help, labels }] of Object.entries(COUNTERS)) {
      this.#counters.set(
        key,
        new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] }),
      );
    }
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [this.#registry] });
    this.#gauges = {
      open: gauge('mailrelay_sessions_open', 'Open sessions'),
      old: gauge('mailrelay_sessions_of_old_policy', 'Open sessions that began under an earlier policy'),
      plain: gauge('mailrelay_plaintext_clients', 'Clients of the last 24 hours that sent in plain text'),
      depth: gauge('mailrelay_queue_messages', 'Messages in the queue'),
      held: gauge('mailrelay_queue_held_messages', 'Messages that wait for a person'),
      oldest: gauge('mailrelay_queue_oldest_age_seconds', 'Age of the oldest message'),
      expiry: gauge('mailrelay_certificate_not_after_timestamp_seconds', 'End of the certificate served'),
      ready: gauge('mailrelay_ready', '1 when the relay is ready'),
    };
  }

  /** Adds what a task counted. */
  add(counts: Counts): void {
    for (const [key, count] of Object.entries(counts)) {
      const [, name = '', label = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(key) ?? [];
      const values = label.split(',');
      const labels = (COUNTERS[name]?.labels ?? []).map((labelName, index) => [
        labelName,
        values[index] ?? '',
      ]);
      this.#counters.get(name)?.inc(Object.fromEntries(labels), count);
    }
  }

  render(status: PodStatus): Promise<string> {
    const { sessions, queue, certificate, ready } = status;
    this.#gauges.open.set(sessions.open);
    this.#gauges.old.set(sessions.ofOldPolicy);
    this.#gauges.plain.set(sessions.plaintextClients);
    this.#gauges.depth.set(queue.depth);
    this.#gauges.held.set(queue.held);
    this.#gauges.oldest.set(queue.oldestSeconds ?? 0);
    this.#gauges.expiry.set(certificate ? Date.parse(certificate.notAfter) / 1000 : 0);
    this.#gauges.ready.set(ready ? 1 : 0);
    return this.#registry.metrics();
  }
}
