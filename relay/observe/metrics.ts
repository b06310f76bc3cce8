/**
 * The Prometheus metrics of a relay. Counters and histograms are the sums of the reports of all task processes,
 * including ended ones. Gauges are read from the status at each request.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CertificateFacts } from '#crds/certificatestatus.ts';
import { countPlaintextClients, type PodStatus } from '#crds/podstatus.ts';
import type { StricterLevel } from '#crds/tlslevel.ts';
import { wall } from '../task/clock.ts';
import type { Counted } from '../task/messages.ts';
import { LastRefusals } from './lastrefusals.ts';
import { CERTIFICATE_END, COUNTERS, GAUGES, HISTOGRAMS } from './metricfamilies.ts';

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #gauges = new Map<keyof typeof GAUGES, Gauge>();
  readonly #certificates: Gauge;
  readonly #policy: Gauge;
  readonly #refusals = new LastRefusals(wall);
  #tlsSessions = 0;
  #plaintextSessions = 0;

  constructor() {
    const registers = [this.#registry];
    for (const [key, { name, help, labels }] of Object.entries(COUNTERS))
      this.#counters.set(key, new Counter({ name, help, labelNames: [...labels], registers }));
    for (const [key, { name, help, buckets }] of Object.entries(HISTOGRAMS))
      this.#histograms.set(key, new Histogram({ name, help, buckets, registers }));
    for (const [key, [name, help]] of Object.entries(GAUGES))
      this.#gauges.set(key as keyof typeof GAUGES, new Gauge({ name, help, registers }));
    const { name, help: text, labels } = CERTIFICATE_END;
    this.#certificates = new Gauge({ name, help: text, labelNames: [...labels], registers });
    const help = '1, with the hash of the policy in force and the version of the relay';
    this.#policy = new Gauge({
      name: 'mailrelay_policy_info',
      help,
      labelNames: ['hash', 'version'],
      registers,
    });
  }

  /** Adds the counts and measurements of a task. */
  add(counted: Counted): void {
    const { counts, observations } = counted;
    this.#refusals.add(counted);
    for (const [key, count] of Object.entries(counts)) {
      const [, name = '', label = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(key) ?? [];
      if (name === 'tls_sessions') this.#tlsSessions += count;
      if (name === 'plaintext_sessions') this.#plaintextSessions += count;
      const values = label.split(',');
      const labels = (COUNTERS[name]?.labels ?? []).map((labelName, index) => [
        labelName,
        values[index] ?? '',
      ]);
      this.#counters.get(name)?.inc(Object.fromEntries(labels), count);
    }
    for (const [name, values] of Object.entries(observations))
      for (const value of values) this.#histograms.get(name)?.observe(value);
  }

  get lastRefusals(): LastRefusals['list'] {
    return this.#refusals.list;
  }

  /** Sessions that made a handshake, and sessions that offered mail without TLS, since the start. */
  get sessionCounts(): { tls: number; plaintext: number } {
    return { tls: this.#tlsSessions, plaintext: this.#plaintextSessions };
  }

  render(status: PodStatus): Promise<string> {
    const { sessions, queue, ready, policy, version } = status;
    const figures: Record<keyof typeof GAUGES, number> = {
      open: sessions.open,
      old: sessions.ofOldPolicy,
      plain: countPlaintextClients(sessions),
      depth: queue.depth,
      held: queue.held,
      events: status.events?.waiting ?? 0,
      blocked: queue.blockedDestinations ?? 0,
      oldest: queue.oldestSeconds ?? 0,
      slowed: queue.slowed?.length ?? 0,
      refusing: queue.loginsRefused.length,
      belowEncrypt: countWaiting(status, 'Encrypt'),
      belowVerify: countWaiting(status, 'Verify'),
      belowDane: countWaiting(status, 'Dane'),
      ready: ready ? 1 : 0,
    };
    for (const [key, value] of Object.entries(figures))
      this.#gauges.get(key as keyof typeof GAUGES)?.set(value);
    this.#certificates.reset();
    for (const [field, hostname, served] of listCertificates(status))
      this.#certificates.set({ field, hostname }, served ? Date.parse(served.notAfter) / 1000 : 0);
    this.#policy.reset();
    if (policy.hash) this.#policy.set({ hash: policy.hash, version }, 1);
    return this.#registry.metrics();
  }
}

function countWaiting({ outbound }: PodStatus, level: StricterLevel): number {
  return outbound?.wouldWait.find((one) => one.level === level)?.destinations ?? 0;
}

type Served = readonly [field: string, hostname: string, served: CertificateFacts | null];

/** Without a certificate the end is 0. Of the optional ones without names only those are listed that are served. */
function listCertificates(status: PodStatus): Served[] {
  const { certificate, internalCertificate, sniCertificates = [], policyHostCertificate } = status;
  return [
    ['tls', '', certificate],
    ...(internalCertificate ? [['tls.internal', '', internalCertificate] as const] : []),
    ...sniCertificates.map((one) => ['tls.certificates', one.names[0] ?? '', one.certificate] as const),
    ...(policyHostCertificate ? [['dns.mtaSTS.serve', '', policyHostCertificate] as const] : []),
  ];
}
