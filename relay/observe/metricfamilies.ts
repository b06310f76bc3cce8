/**
 * The table of the Prometheus metrics of a relay: names, help texts and labels. Names follow the conventions: they contain
 * the unit and `_total`. Every label has a small fixed set of values, so a client cannot create series. docs/metrics.md
 * lists them. Pure.
 */

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
  verified: counter(
    'mailrelay_verifications_total',
    'Messages of others by what was verified (inbound.authenticationResults); method: spf, dkim, arc or dmarc; result: of RFC 8601',
    'method',
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
    'Fetches of MTA-STS policies; result: fetched, or why not (RFC 8460), or dns: the look-up of the TXT record failed, or late: neither had its turn in time, or local: a fault of this relay',
    'result',
  ),
  sts_lapses: counter(
    'mailrelay_sts_policies_lapsed_total',
    'MTA-STS policies in use whose time ended because they could not be fetched again; mode: enforce or testing',
    'mode',
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
  feedback_reports: counter(
    'mailrelay_feedback_reports_total',
    'Mails for inbound.feedbackReports.address; result: taken, or why it was discarded: not_signed, no_report, too_large or malformed',
    'result',
  ),
  complaints: counter(
    'mailrelay_complaints_total',
    'Complaints about our mail that arrived at inbound.feedbackReports.address; type: abuse, fraud, virus, not-spam, or other',
    'type',
  ),
  sts_testing: counter(
    'mailrelay_sts_testing_total',
    'Deliveries under an MTA-STS policy in mode testing; result: met, or why mode enforce would have made the mail wait',
    'result',
  ),
  slowed_down: counter(
    'mailrelay_slow_downs_total',
    'How often the pace of a destination or provider was halved because it asked for fewer messages; class: hops or mx',
    'class',
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
  slowed: [
    'mailrelay_queue_slowed_destinations',
    'Destinations and providers whose pace is halved because they asked for fewer messages; at most ten are counted',
  ],
  refusing: ['mailrelay_logins_refused_destinations', 'Destinations that refuse our login'],
  belowEncrypt: [
    'mailrelay_destinations_below_encrypt',
    'Destinations of the last 7 days whose mail level Encrypt would have made wait; at most 1000 are counted',
  ],
  belowVerify: [
    'mailrelay_destinations_below_verify',
    'Destinations of the last 7 days whose mail level Verify would have made wait; at most 1000 are counted',
  ],
  belowDane: [
    'mailrelay_destinations_below_dane',
    'Destinations of the last 7 days whose mail level Dane would have made wait, where DANE is looked up; at most 1000 are counted',
  ],
  ready: ['mailrelay_ready', '1 when the relay is ready'],
} as const;

/** By the field of the spec that has the certificate. */
export const CERTIFICATE_END: Metric = {
  name: 'mailrelay_certificate_not_after_timestamp_seconds',
  help: 'End of a certificate served; field: tls, tls.internal, tls.certificates (hostname: the first name of the entry) or dns.mtaSTS.serve',
  labels: ['field', 'hostname'],
};
