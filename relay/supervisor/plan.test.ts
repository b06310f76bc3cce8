import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { RESTART_CONTRACT, type RestartEffect } from '#crds/restart.ts';
import { planRestart } from './plan.ts';

const inside = { secretName: 'inside' };
const other = { secretName: 'other', hostnames: ['mail.example.org'] };
const base: MailRelaySpec = {
  hostname: 'relay.example.com',
  replicas: 2,
  tls: { secretName: 'relay-tls', internal: inside, certificates: [other] },
  inbound: {
    listeners: [{ name: 'smtp', port: 25 }],
    clients: { networks: ['10.0.0.0/8'] },
    limits: { recipients: 10 },
  },
  outbound: {
    smartHosts: [{ host: 'mx.example.net' }],
    tls: { trustConfigMapName: 'one' },
    resolver: { sidecar: { image: 'unbound:1' } },
  },
  queue: { expireAfter: '5d', storage: { size: '1Gi' } },
  service: { type: 'ClusterIP' },
};

const relay = { name: 'relay', namespace: 'mail' };
const plan = (changed: MailRelaySpec) =>
  planRestart(effectivePolicy(relay, base), effectivePolicy(relay, changed));

const withListener = (changes: Partial<MailRelaySpec['inbound']['listeners'][number]>): MailRelaySpec => ({
  ...base,
  inbound: { ...base.inbound, listeners: [{ name: 'smtp', port: 25, ...changes }] },
});

/** A change for each rule of crds/restart.ts that names fields of the spec. */
const CHANGES: Readonly<Record<string, MailRelaySpec[]>> = {
  'spec.hostname': [{ ...base, hostname: 'other.example.com' }],
  'spec.inbound.tlsReports, spec.inbound.feedbackReports': [
    { ...base, inbound: { ...base.inbound, tlsReports: { address: 'tls-reports@example.com' } } },
    { ...base, inbound: { ...base.inbound, feedbackReports: { address: 'complaints@example.com' } } },
  ],
  'spec.inbound (all of it but the next three lines), spec.tls.minVersion': [
    { ...base, tls: { ...base.tls, minVersion: 'TLSv1.3' } },
    { ...base, inbound: { ...base.inbound, starttls: 'Required' } },
    { ...base, inbound: { ...base.inbound, enabled: false } },
    {
      ...base,
      inbound: { ...base.inbound, listeners: [...base.inbound.listeners, { name: 'two', port: 587 }] },
    },
    { ...base, inbound: { ...base.inbound, clients: { networks: ['10.0.0.0/9'] } } },
    { ...base, inbound: { ...base.inbound, limits: { recipients: 11 } } },
    { ...base, inbound: { ...base.inbound, acceptDomains: ['example.com'] } },
    {
      ...base,
      inbound: { ...base.inbound, clientPolicies: [{ networks: ['10.1.0.0/16'], starttls: 'Required' }] },
    },
  ],
  'spec.inbound.authenticationResults.arcSealDomain': [
    { ...base, inbound: { ...base.inbound, authenticationResults: { arcSealDomain: 'example.com' } } },
  ],
  'spec.inbound.listeners[]: allowFrom, nodePort': [
    withListener({ nodePort: 30_025 }),
    withListener({ allowFrom: [{ podSelector: { matchLabels: { app: 'shop' } } }] }),
  ],
  'spec.dns': [{ ...base, dns: { publish: 'DNSEndpoint', ttl: '5m', tlsa: true } }],
  'spec.serviceAccount, spec.networkPolicy, spec.podDisruptionBudget, spec.podMonitor': [
    { ...base, serviceAccount: { annotations: { 'example.com/a': 'b' } } },
    { ...base, networkPolicy: { metricsFrom: [{ podSelector: {} }] } },
    { ...base, podDisruptionBudget: { enabled: false } },
    { ...base, podMonitor: { interval: '30s' } },
  ],
  'spec.tls: issuerRef, dnsNames, duration, renewBefore, privateKey': [
    { ...base, tls: { ...base.tls, issuerRef: { name: 'ca' }, dnsNames: ['mail.example.com'] } },
    {
      ...base,
      tls: { ...base.tls, issuerRef: { name: 'ca' }, duration: '30d' },
    },
    {
      ...base,
      tls: { ...base.tls, internal: { ...inside, privateKey: { algorithm: 'RSA' } } },
    },
  ],
  'spec.tls.internal: clusterDomain, dnsNames': [
    { ...base, tls: { ...base.tls, internal: { ...inside, clusterDomain: 'corp.example' } } },
    { ...base, tls: { ...base.tls, internal: { ...inside, dnsNames: ['smtp.corp.example'] } } },
  ],
  'spec.tls.certificates[]: hostnames (but for the first one of an entry with issuerRef)': [
    {
      ...base,
      tls: { ...base.tls, certificates: [{ ...other, hostnames: ['mail.example.org', '*.example.net'] }] },
    },
  ],
  'spec.outbound.resolver.sidecar': [
    { ...base, outbound: { ...base.outbound, resolver: { sidecar: { image: 'unbound:2' } } } },
    {
      ...base,
      outbound: {
        ...base.outbound,
        resolver: { sidecar: { image: 'unbound:1', resources: { limits: { memory: '1Gi' } } } },
      },
    },
  ],
  'spec.outbound (all of it but the next line)': [
    { ...base, outbound: { ...base.outbound, resolver: { addresses: ['192.0.2.53'] } } },
    { ...base, outbound: { ...base.outbound, smartHosts: [{ host: 'mx.example.net', port: 26 }] } },
    { ...base, outbound: { ...base.outbound, tls: { ...base.outbound?.tls, level: 'Encrypt' } } },
    {
      ...base,
      outbound: {
        ...base.outbound,
        routes: [{ recipientDomains: ['x.example'], hosts: [{ host: 'y.example' }] }],
      },
    },
  ],
  'spec.addresses, spec.headers': [
    { ...base, addresses: { sendAllTo: 'staging@example.com' } },
    { ...base, addresses: { recipient: { entries: [{ address: '*', refuse: 'Closed' }] } } },
    { ...base, headers: { remove: ['X-Mailer'] } },
    { ...base, headers: { received: 'None' } },
    { ...base, headers: { add: [{ name: 'X-Environment', value: 'staging' }] } },
  ],
  'spec.queue.expireAfter, spec.queue.delayWarningAfter': [
    { ...base, queue: { ...base.queue, expireAfter: '4d' } },
    { ...base, queue: { ...base.queue, delayWarningAfter: '1h' } },
  ],
  'spec.queue.maxMessages, spec.queue.maxSize': [
    { ...base, queue: { ...base.queue, maxMessages: 10 } },
    { ...base, queue: { ...base.queue, maxSize: '1Gi' } },
  ],
  'spec.queue.history, spec.queue.suppression': [
    { ...base, queue: { ...base.queue, history: '7d' } },
    { ...base, queue: { ...base.queue, suppression: { duration: '7d' } } },
  ],
  'spec.events': [
    { ...base, events: { webhook: { url: 'https://hooks.example.com/mail', secretName: 'hook' } } },
  ],
  'spec.logging': [
    { ...base, logging: { level: 'warn' } },
    { ...base, logging: { addresses: 'Hash' } },
  ],
  'spec.trace': [{ ...base, trace: { level: 2 } }],
  'spec.service, spec.replicas': [
    { ...base, service: { type: 'NodePort' } },
    { ...base, service: { annotations: { 'example.com/a': 'b' } } },
    { ...base, replicas: 3 },
  ],
  'spec.pod': [{ ...base, pod: { resources: { limits: { cpu: '2' } }, nodeSelector: { pool: 'mail' } } }],
  'spec.queue.storage.size': [{ ...base, queue: { ...base.queue, storage: { size: '2Gi' } } }],
};

/** What the tasks of one pod do. The operator handles the pods. */
const TASKS: Readonly<Record<RestartEffect, { listener: boolean; router: boolean }>> = {
  nothing: { listener: false, router: false },
  'listener task': { listener: true, router: false },
  'router task': { listener: false, router: true },
  'both tasks': { listener: true, router: true },
  'pods, one at a time': { listener: false, router: false },
  refused: { listener: false, router: false },
};

for (const { field, effect } of RESTART_CONTRACT.filter((rule) => rule.field in CHANGES)) {
  test(`${field}: ${effect}`, () => {
    for (const changed of CHANGES[field] ?? [])
      assert.deepEqual(plan(changed), TASKS[effect], JSON.stringify(changed));
  });
}

test('every rule of the contract that a policy can show is tried', () => {
  const fields = RESTART_CONTRACT.filter(
    ({ field, effect }) => field.startsWith('spec.') && effect !== 'refused',
  );
  assert.deepEqual(fields.map(({ field }) => field).toSorted(), Object.keys(CHANGES).toSorted());
});

test('in mode CutThrough the listener delivers: there is no router, and outbound restarts the listener', () => {
  const cut: MailRelaySpec = { ...base, queue: { mode: 'CutThrough' } };
  const other = { ...cut, outbound: { smartHosts: [{ host: 'other.example.net' }] } };
  const [before, after] = [effectivePolicy(relay, cut), effectivePolicy(relay, other)];
  assert.deepEqual(planRestart(undefined, before), { listener: true, router: false });
  assert.deepEqual(planRestart(before, after), { listener: true, router: false });
});

test('the same policy restarts nothing, the first one everything', () => {
  assert.deepEqual(plan(structuredClone(base)), { listener: false, router: false });
  assert.deepEqual(planRestart(undefined, effectivePolicy(relay, base)), { listener: true, router: true });
});
