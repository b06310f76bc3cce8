/** Faults of what a person wrote: fields, names, and the objects that fields name. */
import type { Fault } from './fault.ts';
import { INBOUND, kubectl, makeSecret, TLS_INBOUND } from './site.ts';

/** For the Service of one relay. */
const WEBHOOK = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'webhook' },
  webhooks: [
    {
      name: 'away.test.example',
      clientConfig: { url: 'https://127.0.0.1:1/' },
      objectSelector: { matchLabels: { 'app.kubernetes.io/instance': 'webhook' } },
      rules: [
        { apiGroups: [''], apiVersions: ['v1'], resources: ['services'], operations: ['CREATE', 'UPDATE'] },
      ],
      failurePolicy: 'Fail',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ],
};

export const CONFIGURATION_FAULTS: readonly Fault[] = [
  {
    name: 'misspelt',
    what: 'A misspelt field was dropped, so that nobody may send',
    isQuick: true,
    spec: { inbound: { starttls: 'Disabled', listeners: INBOUND.listeners, client: INBOUND.clients } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows:
      /The listener takes mail from nobody: set inbound.clients.networks, .*check the names of the fields/,
  },
  {
    name: 'open',
    what: 'The whole world may relay',
    isQuick: true,
    spec: {
      inbound: { ...INBOUND, clients: { networks: ['0.0.0.0/0'] } },
      service: { type: 'NodePort' },
    },
    row: /ConfigurationSound/,
    command: 'wide',
    shows: /Anybody may relay through listener smtp: 0.0.0.0\/0 .*: name the networks of your own clients/,
  },
  {
    name: 'no-address',
    what: 'The load balancer gives no address',
    isQuick: true,
    spec: { service: { type: 'LoadBalancer' } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows: /Service\/no-address has no address from outside yet: see its events, .* another service.type/,
  },
  {
    name: 'node-address',
    what: 'The Service hides the addresses of clients',
    spec: { service: { type: 'NodePort', externalTrafficPolicy: 'Cluster' } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows: /the address may be that of a node: set Local, or proxyProtocol/,
  },
  {
    name: 'returns',
    what: 'A smart host gets mail that is for us',
    hop: 'away',
    spec: { inbound: { ...INBOUND, acceptDomains: ['example.com'] } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows: /Mail for example.com is accepted and goes to a smart host, .*: add a route for it/,
  },
  {
    name: 'no-users',
    what: 'The Secret of the users does not exist',
    spec: {
      tls: { issuerRef: { name: 'ca' } },
      inbound: {
        ...TLS_INBOUND,
        listeners: [{ name: 'smtp', port: 25, auth: 'Optional' }],
        clients: { credentialsSecretName: 'no-users' },
      },
    },
    row: /ConfigurationSound/,
    command: 'wide',
    shows:
      /Pod no-users-0: spec.inbound.listeners\[smtp\].clients.credentialsSecretName: Secret "no-users" does not exist .*: create or complete it, or correct the field/,
  },
  {
    name: 'bad-users',
    what: 'The Secret of the users has lines that cannot be read',
    spec: {
      tls: { issuerRef: { name: 'ca' } },
      inbound: {
        ...TLS_INBOUND,
        listeners: [{ name: 'smtp', port: 25, auth: 'Optional' }],
        clients: { credentialsSecretName: 'bad-users' },
      },
    },
    prepare: (site) => site.apply(makeSecret('bad-users', { alice: 'open sesame' })),
    row: /ConfigurationSound/,
    command: 'wide',
    shows:
      /Secret "bad-users" has users that cannot be read \(alice\), .*: write for each the line of "mailrelay hash"/,
  },
  {
    name: 'no-trust',
    what: 'The ConfigMap with the authorities of a next hop does not exist',
    hop: 'away',
    smartHost: { tls: { level: 'Verify', trustConfigMapName: 'no-trust' } },
    row: /ConfigurationSound/,
    command: 'wide',
    shows:
      /Pod no-trust-0: spec.outbound.smartHosts\[0\].tls.trustConfigMapName: ConfigMap "no-trust" does not exist .*: create or complete it, or correct the field/,
  },
  {
    name: 'taken',
    what: 'The name of the relay belongs to something else',
    isQuick: true,
    prepare: (site) =>
      site.apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'taken' },
        spec: { ports: [{ port: 80 }] },
      }),
    row: /NameTaken +Ready,Stalled/,
    command: 'wide',
    shows: /Service\/taken belongs to someone else: rename or remove it, or rename this MailRelay/,
  },
  {
    name: 'class-of-nobody',
    what: 'No operator has the class of the relay',
    isQuick: true,
    spec: { className: 'nobody' },
    row: /^class-of-nobody +\d+s|^class-of-nobody/,
    command: 'wide',
    shows: /class-of-nobody .* 1 +-1 .*nobody/,
    means:
      'OBSERVED -1: no operator looks at it. Correct spec.className, or install an operator of that class.',
  },
  {
    name: 'paused',
    what: 'The relay is paused, and edits wait',
    plant: async (site) => {
      await site.kubectl('annotate', 'mr', site.name, 'mailrelay.dev/paused=true');
      await site.edit({ trace: { level: 1 } });
    },
    row: /1\/1 +Serving/,
    command: 'wide',
    shows: /paused .* 2 +1 .*true/,
    means: 'PAUSED true, OBSERVED behind GENERATION: remove the annotation mailrelay.dev/paused.',
  },
  {
    name: 'webhook',
    what: 'A webhook that is away stops every write of an object',
    isQuick: true,
    prepare: (site) => site.apply(WEBHOOK),
    heal: (site) => kubectl(['delete', 'validatingwebhookconfiguration', site.name]),
    row: /0\/1 +\w+ +Ready,Reconciling|1\/1 +Serving +Reconciling/,
    command: 'wide',
    shows:
      /The API server fails at .*, which is tried again: .*webhook.*: mend that webhook, or remove its configuration/,
  },
];
