/**
 * The Prometheus metrics of a relay. Counters and histograms are the sums of the reports of all task processes,
 * including ended ones. Gauges are read from the status at each request. Names follow the conventions: they contain the
 * unit and `_total`. Every label has a small fixed set of values, so a client cannot create series. docs/metrics.md
 * lists the metrics.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type CertificateFacts, countPlaintextClients, type PodStatus } from '#crds/podstatus.ts';
import type { StricterLevel } from '#crds/tlslevel.ts';
import { wall } from '../task/clock.ts';
import type { Counted } from '../task/messages.ts';
import { LastRefusals } from './lastrefusals.ts';

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const counter = (name: string, help: string, ...labels: string[]): Metric => ({ name, help, labels });

/** By the name that the tasks use for counting. */
export const COUNTERS: Readonly<Record<string, Metric>> = {
  sessions: counter('mailrelay_sessions_total', 'Sessions begun', 'listener'),
  sessions_closed: counter('mailrelay_sessions_closed_total', 'Sessions ended', 'listener'),
  session_errors: counter('mailrelay_session_errors_total', 'Sessions that broke', 'listener'),
  tls_sessions: counter(
    'mailrelay_tls_sessions_total',
    'TLS handshakes of clients',
    'listener',
    'version',
    'cipher',
    'group',
  ),
  plaintext_sessions: counter(
    'mailrelay_plaintext_sessions_total',
    'Sessions that offered mail without TLS',
    'listener',
  ),
  logins: counter('mailrelay_logins_total', 'Logins by mechanism and result', 'mechanism', 'result'),
  accepted: counter('mailrelay_messages_accepted_total', 'Messages answered 250', 'listener'),
  refused: counter('mailrelay_refusals_total', 'Connections, commands and messages refused', 'reason'),
  filtered: counter(
    'mailrelay_messages_filtered_total',
    'Messages that the content filter was asked about (inbound.filter); result: its action, or failed',
    'result',
  ),
  delivered: counter(
    'mailrelay_recipients_delivered_total',
    'Recipients delivered; class: hops (of the spec), mx, or local (TLS reports of others)',
    'class',
  ),
  deferred: counter(
    'mailrelay_deferrals_total',
    'Deliveries put off; class: hops, mx or local; by: destination or reply',
    'class',
    'by',
  ),
  outbound: counter(
    'mailrelay_outbound_deliveries_total',
    'Deliveries by the strictest level that they met, whatever was asked for; verified_by: DANE, MTA-STS, PKIX or nothing; fell_back: why in plain text, or no',
    'level',
    'version',
    'group',
    'verified_by',
    'fell_back',
  ),
  fell_back: counter(
    'mailrelay_plaintext_fallbacks_total',
    'Deliveries in plain text although TLS was wanted; cause: starttls-missing or handshake, which has a reason',
    'cause',
    'reason',
  ),
  bounced: counter(
    'mailrelay_recipients_bounced_total',
    'Recipients given up; class: hops, mx, or expired',
    'class',
  ),
  discarded: counter(
    'mailrelay_recipients_discarded_total',
    'Recipients given up whose sender cannot, or does not want to, be told',
  ),
  events: counter(
    'mailrelay_events_total',
    'Events for events.webhook; result: sent or dropped, or failed: requests that the receiver did not take',
    'result',
  ),
  history_lost: counter(
    'mailrelay_history_lost_total',
    'Facts that could not be written into the history (queue.history)',
  ),
  suppressed: counter(
    'mailrelay_recipients_suppressed_total',
    'Recipients that got no mail, because next hops had refused them for good (queue.suppression)',
  ),
  not_signed: counter(
    'mailrelay_messages_not_signed_total',
    'Messages of ours that went without a DKIM signature although there are keys',
    'reason',
  ),
  sts_fetches: counter(
    'mailrelay_sts_fetches_total',
    'Fetches of MTA-STS policies; result: fetched, or why not (RFC 8460)',
    'result',
  ),
  policy_requests: counter(
    'mailrelay_policy_requests_total',
    'Requests to the policy host of MTA-STS; result: served, not_found, not_allowed, or broken (no TLS, or no HTTP)',
    'result',
  ),
  tls_reports: counter(
    'mailrelay_tls_reports_total',
    'TLS reports to domains (RFC 8460); result: sent, delayed or failed; by: https or mailto',
    'result',
    'by',
  ),
  tls_reports_received: counter(
    'mailrelay_tls_reports_received_total',
    'Mails for inbound.tlsReports.address; result: taken, duplicate, or why it was discarded: not_signed, no_report, too_large or malformed',
    'result',
  ),
  tls_report_sessions: counter(
    'mailrelay_tls_report_sessions_total',
    'Sessions towards our domains that reports of others tell of; reporter: the domain that signed, of 50 at most, or other; result: success, or a type of RFC 8460, or unspecified',
    'reporter',
    'result',
  ),
  sts_testing: counter(
    'mailrelay_sts_testing_total',
    'Deliveries under an MTA-STS policy in mode testing; result: met, or why mode enforce would have made the mail wait',
    'result',
  ),
  spool_syncs: counter('mailrelay_spool_syncs_total', 'Syncs of the queue to disk', 'task'),
  handed_over: counter(
    'mailrelay_messages_handed_over_total',
    'Messages that went to a sibling, or came from one; direction: out or in',
    'direction',
  ),
  task_starts: counter(
    'mailrelay_task_starts_total',
    'Starts of tasks; cause: start, policy or died',
    'task',
    'cause',
  ),
};

export const HISTOGRAMS: Readonly<Record<string, Omit<Metric, 'labels'> & { buckets: number[] }>> = {
  accept_seconds: {
    name: 'mailrelay_accept_duration_seconds',
    help: 'From DATA to the 250',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  delivery_seconds: {
    name: 'mailrelay_delivery_duration_seconds',
    help: 'From receipt to the 250 of the next hop',
    buckets: [0.05, 0.1, 0.5, 1, 5, 30, 60, 600, 3_600, 14_400, 86_400],
  },
};

export const GAUGES = {
  open: ['mailrelay_sessions_open', 'Open sessions'],
  old: ['mailrelay_sessions_of_old_policy', 'Open sessions that began under an earlier policy'],
  plain: [
    'mailrelay_plaintext_clients',
    'Clients of the last 7 days whose mail was taken in plain text, though Required may refuse them now',
  ],
  depth: ['mailrelay_queue_messages', 'Messages in the queue'],
  held: ['mailrelay_queue_held_messages', 'Messages that wait for a person'],
  events: ['mailrelay_events_waiting', 'Events that wait for their receiver'],
  blocked: [
    'mailrelay_queue_blocked_destinations',
    'Destinations that wait for nothing but a free delivery slot',
  ],
  oldest: ['mailrelay_queue_oldest_age_seconds', 'Age of the oldest message'],
  refusing: ['mailrelay_logins_refused_destinations', 'Destinations that refuse our login'],
  belowEncrypt: [
    'mailrelay_destinations_below_encrypt',
    'Destinations of the last 7 days whose mail level Encrypt would have made wait',
  ],
  belowVerify: [
    'mailrelay_destinations_below_verify',
    'Destinations of the last 7 days whose mail level Verify would have made wait',
  ],
  belowDane: [
    'mailrelay_destinations_below_dane',
    'Destinations of the last 7 days whose mail level Dane would have made wait, where DANE is looked up',
  ],
  ready: ['mailrelay_ready', '1 when the relay is ready'],
} as const;

/** By the field of the spec that has the certificate. */
export const CERTIFICATE_END: Metric = {
  name: 'mailrelay_certificate_not_after_timestamp_seconds',
  help: 'End of a certificate served; field: tls, tls.internal, tls.certificates (hostname: the first name of the entry) or dns.mtaSTS.serve',
  labels: ['field', 'hostname'],
};

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
