import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { Counters } from '../task/counts.ts';
import { Metrics } from './metrics.ts';

const status = {
  ready: true,
  version: '1.2.3',
  policy: { hash: 'abcd', refused: null },
  certificate: { notAfter: '2027-01-01T00:00:00Z' },
  sniCertificates: [{ secret: 'other', names: ['b.example', 'c.example'], certificate: null, problem: null }],
  sessions: { open: 3, ofOldPolicy: 1, plaintextClients: 2, oldPolicyEnds: null, plaintext: [] },
  outbound: { wouldWait: [{ level: 'Encrypt', destinations: 3, list: [] }] },
  queue: { depth: 5, held: 4, oldestSeconds: null, deferrals: [], loginsRefused: [] },
} as unknown as PodStatus;

test('what tasks count adds up by label; gauges tell the status', async () => {
  const metrics = new Metrics();
  const add = (counters: Counters) => metrics.add(counters.take() ?? { counts: {}, observations: {} });
  for (let task = 0; task < 2; task++) {
    const counters = new Counters();
    assert.equal(counters.take(), undefined);
    counters.add('accepted', 'smtp');
    counters.add('tls_sessions', 'smtp,TLSv1.3,TLS_AES_256_GCM_SHA384,X25519MLKEM768');
    counters.add('delivered', 'mx');
    counters.observe('accept_seconds', 0.02);
    add(counters);
    counters.add('accepted', 'smtp');
    add(counters);
  }
  metrics.add({ counts: { 'unknown{x}': 1 }, observations: { unknown: [1] } });
  const text = await metrics.render(status);
  const lines = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_bucket'));
  assert.deepEqual(lines, [
    'mailrelay_tls_sessions_total{listener="smtp",version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384",group="X25519MLKEM768"} 2',
    'mailrelay_messages_accepted_total{listener="smtp"} 4',
    'mailrelay_recipients_delivered_total{class="mx"} 2',
    'mailrelay_recipients_discarded_total 0',
    'mailrelay_history_lost_total 0',
    'mailrelay_recipients_suppressed_total 0',
    'mailrelay_accept_duration_seconds_sum 0.04',
    'mailrelay_accept_duration_seconds_count 2',
    'mailrelay_delivery_duration_seconds_sum 0',
    'mailrelay_delivery_duration_seconds_count 0',
    'mailrelay_sessions_open 3',
    'mailrelay_sessions_of_old_policy 1',
    'mailrelay_plaintext_clients 2',
    'mailrelay_queue_messages 5',
    'mailrelay_queue_held_messages 4',
    'mailrelay_events_waiting 0',
    'mailrelay_queue_blocked_destinations 0',
    'mailrelay_queue_oldest_age_seconds 0',
    'mailrelay_queue_slowed_destinations 0',
    'mailrelay_logins_refused_destinations 0',
    'mailrelay_destinations_below_encrypt 3',
    'mailrelay_destinations_below_verify 0',
    'mailrelay_destinations_below_dane 0',
    'mailrelay_ready 1',
    'mailrelay_certificate_not_after_timestamp_seconds{field="tls",hostname=""} 1798761600',
    'mailrelay_certificate_not_after_timestamp_seconds{field="tls.certificates",hostname="b.example"} 0',
    'mailrelay_policy_info{hash="abcd",version="1.2.3"} 1',
  ]);
});
