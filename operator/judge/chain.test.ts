import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConditionType, REASONS } from '#crds/conditions.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { assertReads } from '#test/fixtures/sentences.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { KubeError } from '../kube/errors.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';
import type { PodTrouble } from './trouble.ts';

const world = (changes: Partial<Judged> = {}): Judged => ({
  obstacles: [],
  ...settledWorld(changes),
  ...changes,
});
const relay = relayObject();
const IDLE = podReport(relay).queue;

/** Both pods report it. */
const both = (report: Partial<PodStatus>, of = relay) => ({
  pods: [0, 1].map((n) => podView(`relay-${n}`, podReport(of, report))),
});
const blemished = (reason: string) => both({ certificateProblem: { reason, message: 'as it says' } });
const unserved = { certificate: null, certificateProblem: { reason: 'CertificateMissing', message: 'none' } };

/** A pod that leaves, and the message about its queue that it reports. */
const leaving = (message: string | null) => ({
  leaving: [podView('relay-2', podReport(relay, { evacuation: { state: 'HandingOver', message } }))],
});

const ISSUED = relayObject({ tls: { issuerRef: { name: 'ca' } } });
const notIssued: Partial<Judged> = {
  relay: ISSUED,
  ...both(unserved, ISSUED),
  objects: new Map([
    ...settledWorld({ relay: ISSUED }).objects,
    [
      'Certificate/relay',
      {
        kind: 'Certificate',
        metadata: { name: 'relay' },
        status: { conditions: [{ type: 'Ready', status: 'False', message: 'issuer "ca" not found' }] },
      },
    ],
  ]),
};

const required = {
  relay: relayObject({
    inbound: {
      listeners: [{ name: 'smtp', port: 25 }],
      starttls: 'Required',
      clients: { networks: ['10.0.0.0/8'] },
    },
  }),
};
const inClear = (said: Partial<PodStatus['sessions']>, of = relay) =>
  both({ sessions: { ...podReport(of).sessions, ...said } }, of);

const LACKING = { kind: 'lacking', name: '_25._tcp.relay.example.com', value: '3 1 1 bb' } as const;

/** The API server does not list these kinds. */
const unlisted = (kinds: readonly string[], of = ISSUED): Partial<Judged> => ({
  relay: of,
  unlisted: kinds.map((kind) => ({ kind, message: 'the server is broken' })),
});

/** Client networks behind a Service that clients reach from outside the cluster. */
const exposed = (service: object, listener: object = {}) => ({
  relay: relayObject({
    service: { type: 'LoadBalancer', ...service },
    inbound: {
      listeners: [{ name: 'smtp', port: 25, ...listener }],
      clients: { networks: ['10.0.0.0/8'] },
    },
  }),
});
const CLUSTER = { externalTrafficPolicy: 'Cluster' };

/** Mail goes to a smart host, except for domains with a route. */
const withRoutes = (...routes: object[]) => ({
  relay: relayObject({
    inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['a.example'] },
    outbound: {
      smartHosts: [{ host: 'hop.example' }],
      routes: routes.map((route) => ({ ...route, hosts: [{ host: 'mx.example' }] })),
    },
  }),
});
const accepting = (domain: string) => withRoutes({ recipientDomains: [domain] });

const withUsers = (auth: 'Disabled' | 'Optional') => ({
  relay: relayObject({
    inbound: {
      listeners: [{ name: 'smtp', port: 25, auth }],
      clients: { credentialsSecretName: 'users' },
    },
  }),
});

const EMPTY = { annotations: { 'mailrelay.dev/emptied': 'uid-of-relay-0' } };

type Case = [string, Partial<Judged>, ConditionType, string | undefined, string | undefined];

const trouble = (reason: string, isStuck: boolean) => ({ reason, message: reason, isStuck });
const TROUBLES: readonly [string, PodTrouble, ConditionType][] = [
  ['an image cannot be pulled', trouble('ImagePullBackOff', true), 'Stalled'],
  ['a pod ends again and again', trouble('CrashLoopBackOff', true), 'Stalled'],
  ['no node has room', trouble('Unschedulable', false), 'Reconciling'],
];

const lacking = (message: string): Partial<Judged> => ({
  pods: [podView('relay-0', podReport(relay))],
  complaints: [{ object: 'StatefulSet/relay', reason: 'FailedCreate', message }],
});

/** Pods that do not answer. `seen` is the generation that was seen in force. */
const silent = (seen?: number): Partial<Judged> => ({
  pods: [0, 1].map((n) => podView(`relay-${n}`, undefined)),
  ...(seen === undefined
    ? {}
    : {
        relay: {
          ...relay,
          status: {
            conditions: [
              {
                type: 'Ready',
                status: 'True' as const,
                reason: 'Serving',
                message: '',
                lastTransitionTime: '2026-01-01T00:00:00Z',
                observedGeneration: seen,
              },
            ],
          },
        },
      }),
});

const waiting = (...waits: readonly [configured: boolean, seconds: number][]) =>
  both({
    queue: {
      ...IDLE,
      waits: waits.map(([configured, withoutSuccessSeconds], n) => ({
        destination: `hop-${n}.example`,
        configured,
        withoutSuccessSeconds,
        message: 'refused',
      })),
    },
  });

const reached = (networks: readonly string[], service: object = {}, more: object = {}) => ({
  relay: relayObject({
    service: { type: 'LoadBalancer', ...service },
    inbound: { listeners: [{ name: 'smtp', port: 25 }], clients: { networks }, ...more },
  }),
});
const behind = (...networks: string[]) => ({
  listeners: [{ name: 'smtp', port: 25, proxyProtocol: { networks } }],
});
const heldTo = (limits: object) => ({ clients: { networks: ['0.0.0.0/0'], ...limits } });
const QUARTERS = ['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2', '192.0.0.0/2'];
const HALVES = { loadBalancerSourceRanges: ['0.0.0.0/1', '128.0.0.0/1'] };
const FEW = { loadBalancerSourceRanges: ['192.0.2.0/24'] };
const LOGIN = { listeners: [{ name: 'smtp', port: 25, auth: 'Required' }] };
const OPEN = [
  ...['0.0.0.0/0', '::/0', '0.0.0.0/1', '0.0.0.0/00', '2000::/3', '::ffff:0.0.0.0/96'].map((network) =>
    reached([network]),
  ),
  reached(QUARTERS),
  reached(['0.0.0.0/0'], HALVES),
  reached(['0.0.0.0/0'], { type: 'NodePort' }),
  reached(['10.0.0.0/8'], {}, behind('0.0.0.0/0')),
  reached(['10.0.0.0/8'], {}, behind(...QUARTERS)),
  reached(['0.0.0.0/0'], {}, behind('192.0.2.0/24')),
  reached([], {}, heldTo({ senderDomains: ['example.com'] })),
  reached([], {}, heldTo({ recipientDomains: ['*.com'] })),
];
const NOT_OPEN = [
  reached(['10.0.0.0/8']),
  reached(['0.0.0.0/0'], { type: 'ClusterIP' }),
  reached(['0.0.0.0/0'], FEW),
  reached(['10.0.0.0/8'], FEW, behind('0.0.0.0/0')),
  reached(['10.0.0.0/8'], {}, behind('192.0.2.0/24')),
  reached([], {}, heldTo({ recipientDomains: ['example.com'] })),
  reached(['0.0.0.0/0'], {}, LOGIN),
];
const closed = (enabled = true) =>
  relayObject({ inbound: { enabled, listeners: [{ name: 'smtp', port: 25 }], clients: {} } });

/** The claim of pod 0 is being deleted. */
const going = (metadata: object = {}, name = 'spool-relay-0'): Partial<Judged> => ({
  objects: new Map([
    ...settledWorld().objects,
    [
      `PersistentVolumeClaim/${name}`,
      {
        kind: 'PersistentVolumeClaim',
        metadata: { name, namespace: 'mail', deletionTimestamp: '2026-01-01T00:00:00Z', ...metadata },
        spec: { volumeName: 'pvc-1' },
      },
    ],
  ]),
});

/** Worlds, each with the conditions that it must have. */
const CASES: readonly Case[] = [
  ['all is as wanted', {}, 'Ready', 'True', 'Serving'],
  ['all is as wanted', {}, 'Stalled', undefined, undefined],
  ['all is as wanted', {}, 'Reconciling', undefined, undefined],
  ['all is as wanted', {}, 'CertificateReady', 'True', 'CertificateServed'],
  ['all is as wanted', {}, 'PolicyApplied', 'True', 'PolicyInForce'],
  ['there is nothing yet', { pods: [], objects: new Map() }, 'Ready', 'False', 'PodsNotReady'],
  ['there is nothing yet', { pods: [], objects: new Map() }, 'Reconciling', 'True', 'RollingOut'],
  ['there is nothing yet', { pods: [], objects: new Map() }, 'PolicyApplied', 'False', 'PolicyPending'],
  [
    'one pod is not ready',
    { pods: [podView('relay-0', podReport(relay)), podView('relay-1', undefined, { ready: false })] },
    'Ready',
    'False',
    'PodsNotReady',
  ],
  [
    'one pod serves the policy before',
    {
      pods: [
        podView('relay-0', podReport(relay)),
        podView('relay-1', podReport(relay, { policy: { hash: 'old', refused: null } })),
      ],
    },
    'PolicyApplied',
    'False',
    'PolicyPending',
  ],
  [
    'one pod serves the policy before',
    {
      pods: [
        podView('relay-0', podReport(relay)),
        podView('relay-1', podReport(relay, { policy: { hash: 'old', refused: null } })),
      ],
    },
    'Reconciling',
    'True',
    'PolicyChanging',
  ],
  [
    'a pod refused the policy',
    {
      pods: [
        podView(
          'relay-0',
          podReport(relay, { policy: { hash: 'old', refused: { hash: 'new', message: 'no' } } }),
        ),
      ],
    },
    'Stalled',
    'True',
    'PolicyRefused',
  ],
  ['the mounted key does not match', blemished('KeyMismatch'), 'CertificateReady', 'False', 'KeyMismatch'],
  ['the mounted key does not match', blemished('KeyMismatch'), 'Ready', 'True', 'Serving'],
  [
    'pods serve different certificates',
    {
      pods: [
        podView('relay-0', podReport(relay)),
        podView('relay-1', podReport(relay, { certificate: null })),
      ],
    },
    'CertificateReady',
    'Unknown',
    'CertificateUpdating',
  ],
  [
    'a name is taken',
    { obstacles: [{ kind: 'nameTaken', object: 'Service/relay' }] },
    'Stalled',
    'True',
    'NameTaken',
  ],
  [
    'a name is taken',
    { obstacles: [{ kind: 'nameTaken', object: 'Service/relay' }] },
    'Ready',
    'False',
    'NameTaken',
  ],
  [
    'a volume cannot shrink',
    {
      obstacles: [
        { kind: 'shrinks', object: 'PersistentVolumeClaim/spool-relay-0', size: '1Gi', granted: '2Gi' },
      ],
    },
    'Stalled',
    'True',
    'StorageCannotShrink',
  ],
  [
    'a claim asks in vain for a size that was taken back',
    {
      objects: liveObjects(relayObject()).set('PersistentVolumeClaim/spool-relay-0', {
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'spool-relay-0', annotations: { 'mailrelay.dev/granted': '1Gi/1Gi' } },
        spec: { resources: { requests: { storage: '1Ti' } } },
        status: { phase: 'Bound', capacity: { storage: '1Gi' } },
      }),
    },
    'ConfigurationSound',
    'False',
    'StorageRequestStands',
  ],
  [
    'a quota refuses the pods',
    { obstacles: [{ kind: 'denied', object: 'StatefulSet/relay', message: 'quota' }] },
    'Stalled',
    'True',
    'Denied',
  ],
  [
    'the stored spec breaks a rule',
    { faults: [{ path: 'spec.queue', message: 'no' }], policy: undefined },
    'Stalled',
    'True',
    'SpecInvalid',
  ],
  [
    'an issuer without cert-manager',
    { relay: relayObject({ tls: { issuerRef: { name: 'ca' } } }), absentKinds: ['Certificate'] },
    'Stalled',
    'True',
    'CertManagerMissing',
  ],
  [
    'the records go into an object that the cluster does not know',
    { relay: relayObject({ dns: { publish: 'DNSEndpoint' } }), absentKinds: ['DNSEndpoint'] },
    'ConfigurationSound',
    'False',
    'ExternalDNSMissing',
  ],
  [
    'a published key rolls over',
    {
      relay: relayObject({ dns: { tlsa: true, publish: 'DNSEndpoint' } }),
      keys: { inService: 'one', next: { secret: 'two', step: { kind: 'issuing' } }, former: [] },
    },
    'ConfigurationSound',
    'True',
    'KeyRollsOver',
  ],
  [
    'a published key rolls over, and a person publishes',
    {
      relay: relayObject({ dns: { tlsa: true } }),
      keys: {
        inService: 'one',
        next: { secret: 'two', step: { kind: 'publishing', digest: 'a', since: 0, proof: LACKING } },
        former: [],
      },
    },
    'ConfigurationSound',
    'False',
    'KeyAwaitsPublishing',
  ],
  [
    'a published key rolls over, and external-dns publishes',
    {
      relay: relayObject({ dns: { tlsa: true, publish: 'DNSEndpoint' } }),
      keys: {
        inService: 'one',
        next: { secret: 'two', step: { kind: 'publishing', digest: 'a', since: 0, proof: LACKING } },
        former: [],
      },
    },
    'ConfigurationSound',
    'True',
    'KeyRollsOver',
  ],
  ['Certificate cannot be listed', unlisted(['Certificate']), 'Reconciling', 'True', 'CertManagerUnlisted'],
  [
    'Certificate cannot be listed',
    unlisted(['Certificate']),
    'ConfigurationSound',
    'Unknown',
    'CertManagerUnlisted',
  ],
  ['Certificate cannot be listed', unlisted(['Certificate']), 'Ready', 'True', 'Serving'],
  ['Certificate cannot be listed', unlisted(['Certificate']), 'Stalled', undefined, undefined],
  [
    'CertificateRequest cannot be listed',
    unlisted(['CertificateRequest']),
    'Reconciling',
    undefined,
    undefined,
  ],
  [
    'CertificateRequest cannot be listed',
    unlisted(['CertificateRequest']),
    'ConfigurationSound',
    'Unknown',
    'CertManagerUnlisted',
  ],
  [
    'PodMonitor, DNSEndpoint cannot be listed',
    unlisted(['PodMonitor', 'DNSEndpoint']),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'Certificates cannot be listed, and the Secrets are filled by a person',
    unlisted(['Certificate'], relayObject({ tls: { secretName: 'own' } })),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'such an object is not known and not wanted',
    { relay: relayObject({ dns: { tlsa: true } }), absentKinds: ['DNSEndpoint'] },
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'such an object is not known, and mail flows',
    { relay: relayObject({ dns: { publish: 'DNSEndpoint' } }), absentKinds: ['DNSEndpoint'] },
    'Ready',
    'True',
    'Serving',
  ],
  ['no pods are wanted', { relay: relayObject({ replicas: 0 }), pods: [] }, 'Ready', 'True', 'ScaledToZero'],
  [
    'no TLS is wanted',
    {
      relay: relayObject({
        tls: null,
        inbound: { starttls: 'Disabled', listeners: [{ name: 'a', port: 25 }] },
      }),
    },
    'CertificateReady',
    undefined,
    undefined,
  ],
  ['mail is held', both({ queue: { ...IDLE, depth: 1, held: 1 } }), 'QueueHealthy', 'False', 'MailHeld'],
  [
    'mail waits for two hours',
    both({ queue: { ...IDLE, depth: 1, oldestSeconds: 7_200 } }),
    'QueueHealthy',
    'False',
    'MailWaiting',
  ],
  [
    'a next hop refuses the login, and mail is held too',
    both({
      queue: {
        ...IDLE,
        held: 1,
        loginsRefused: [{ destination: 'hop.example', message: '535 5.7.8 no' }],
      },
    }),
    'QueueHealthy',
    'False',
    'LoginRefused',
  ],
  ['all is as wanted', {}, 'QueueHealthy', 'True', 'QueueMoving'],
  ['all is as wanted', {}, 'ConfigurationSound', 'True', 'NothingToNote'],
  [
    'a Secret is missing',
    both({ missing: ['inbound.clients.credentialsSecretName: Secret users does not exist'] }),
    'ConfigurationSound',
    'False',
    'ReferenceMissing',
  ],
  [
    'a next hop refuses the new login of a Secret',
    both({
      queue: {
        ...IDLE,
        secretsHeldBack: [{ destination: 'hop.example:587', message: 'The new contents of Secret "a" wait' }],
      },
    }),
    'ConfigurationSound',
    'False',
    'SecretHeldBack',
  ],
  [
    'the content filter fails',
    both({ filter: { failure: 'HTTP status 500' } }),
    'ConfigurationSound',
    'False',
    'FilterFailing',
  ],
  [
    'the content filter judges',
    both({ filter: { failure: null } }),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'the receiver of events fails',
    both({ events: { waiting: 3, failure: 'HTTP status 500', hasDropped: false } }),
    'ConfigurationSound',
    'False',
    'EventsNotTaken',
  ],
  [
    'events were dropped, because the receiver is too slow',
    both({ events: { waiting: 3, failure: null, hasDropped: true } }),
    'ConfigurationSound',
    'False',
    'EventsNotTaken',
  ],
  [
    'events are taken',
    both({ events: { waiting: 3, failure: null, hasDropped: false } }),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'Required refuses a known client',
    { ...required, ...inClear({ plaintextRefusedClients: 1 }, required.relay) },
    'ConfigurationSound',
    'False',
    'PlaintextClientsRefused',
  ],
  [
    'Required would refuse a client',
    inClear({ plaintextClients: 1 }),
    'ConfigurationSound',
    'True',
    'PlaintextClientsSeen',
  ],
  ['nodes may hide the clients', exposed(CLUSTER), 'ConfigurationSound', 'False', 'AddressMayBeNode'],
  [
    'traffic keeps to the node',
    exposed({ externalTrafficPolicy: 'Local' }),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  ['no traffic policy is named', exposed({}), 'ConfigurationSound', 'True', 'NothingToNote'],
  [
    'nodes may hide the clients, and a proxy names them',
    exposed(CLUSTER, { proxyProtocol: { networks: ['192.0.2.0/24'] } }),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'an accepted domain has no route',
    accepting('b.example'),
    'ConfigurationSound',
    'False',
    'AcceptedDomainReturns',
  ],
  ['there are users and no auth', withUsers('Disabled'), 'ConfigurationSound', 'False', 'NobodyCanLogIn'],
  [
    'an extra is refused',
    { obstacles: [{ kind: 'nameTaken', object: 'PodMonitor/relay' }] },
    'ConfigurationSound',
    'False',
    'ExtraRefused',
  ],
  ['there are users and auth', withUsers('Optional'), 'ConfigurationSound', 'True', 'NothingToNote'],
  ['an accepted domain has a route', accepting('a.example'), 'ConfigurationSound', 'True', 'NothingToNote'],
  [
    'the route of an accepted domain is for some senders',
    withRoutes({ recipientDomains: ['a.example'], senders: ['b.example'] }),
    'ConfigurationSound',
    'False',
    'AcceptedDomainReturns',
  ],
  [
    'a route of some senders is for every domain',
    withRoutes({ senders: ['b.example'] }),
    'ConfigurationSound',
    'False',
    'AcceptedDomainReturns',
  ],
  [
    'behind a route of some senders is one for all',
    withRoutes({ senders: ['b.example'] }, { recipientDomains: ['a.example'] }),
    'ConfigurationSound',
    'True',
    'NothingToNote',
  ],
  [
    'there is auth for others alone',
    {
      relay: relayObject({
        inbound: {
          listeners: [
            { name: 'smtp', port: 25 },
            {
              name: 'devices',
              port: 587,
              auth: 'Required',
              clients: { certificates: { trustConfigMapName: 'ca', names: ['a.example'] } },
            },
          ],
          clients: { networks: ['10.0.0.0/8'], credentialsSecretName: 'users' },
        },
      }),
    },
    'ConfigurationSound',
    'False',
    'NobodyCanLogIn',
  ],
  [
    'other relays are replaced first',
    { obstacles: [{ kind: 'waitsForTurn', object: 'StatefulSet/relay' }] },
    'Reconciling',
    'True',
    'RolloutWaits',
  ],
  [
    'an object is of another operator',
    { obstacles: [{ kind: 'otherInstallation', object: 'Service/relay', installation: 'a/b' }] },
    'Stalled',
    'True',
    'OtherInstallation',
  ],
  [
    'an object of an earlier relay goes',
    { obstacles: [{ kind: 'going', object: 'Service/relay' }] },
    'Reconciling',
    'True',
    'MakingAnew',
  ],
  [
    'there is no StatefulSet, though no pods are wanted',
    { relay: { ...relayObject(), spec: { ...relayObject().spec, replicas: 0 } }, objects: new Map() },
    'Ready',
    'False',
    'MakingAnew',
  ],
  [
    'a webhook is down',
    { obstacles: [{ kind: 'failed', object: 'Service/relay', error: new KubeError('failed', 'no', 500) }] },
    'Reconciling',
    'True',
    'WriteFailed',
  ],
  ['a pod leaves', leaving(null), 'Reconciling', 'True', 'ScalingIn'],
  ['a pod leaves and cannot', leaving('no sibling has room'), 'Reconciling', 'True', 'ScaleInWaits'],
  ['the Secret is not filled', both(unserved), 'Stalled', 'True', 'CertificateMissing'],
  ['cert-manager has issued nothing', notIssued, 'CertificateReady', 'False', 'CertificateNotIssued'],
  ...[
    'CertificateUnreadable',
    'CertificateExpired',
    'CertificateExpiringSoon',
    'CertificateNotYetValid',
    'HostnameNotCovered',
  ].map((reason): Case => [`the pods say ${reason}`, blemished(reason), 'CertificateReady', 'False', reason]),
  ...TROUBLES.map(
    ([what, trouble, type]): Case => [
      what,
      {
        pods: [
          podView('relay-0', podReport(relay)),
          podView('relay-1', undefined, { ready: false, trouble }),
        ],
      },
      type,
      'True',
      'PodsNotReady',
    ],
  ),
  ['a quota denies pods', lacking('exceeded quota: pods, used: pods=1'), 'Stalled', 'True', 'PodsNotReady'],
  ...[
    'create Pod relay-1 failed error: admission webhook "v.gatekeeper.sh" denied the request: [owner] no label',
    'create Pod relay-1 failed error: admission webhook "v.example" denied the request without explanation',
    'create Pod relay-1 failed error: Pod "relay-1" is invalid: spec.containers[0].image: Required value',
    'no persistent volumes available for this claim and no storage class is set',
  ].map((message): Case => ['pods are refused', lacking(message), 'Stalled', 'True', 'PodsNotReady']),
  ...[
    'create Pod relay-1 failed error: Internal error occurred: failed calling webhook "v.example": refused',
    'Multi-Attach error for volume "pvc" Volume is already exclusively attached to one node',
  ].map((message): Case => ['it comes back', lacking(message), 'Reconciling', 'True', 'PodsNotReady']),
  [
    'a kubelet may not read yet',
    {
      ...lacking(''),
      complaints: [
        {
          object: 'Pod/relay-1',
          reason: 'FailedMount',
          message:
            'configmaps "relay-policy" is forbidden: User "system:node:n1" cannot get it: no relationship found',
        },
      ],
    },
    'Reconciling',
    'True',
    'PodsNotReady',
  ],
  ['something else is complained of', lacking('the server is busy'), 'Stalled', undefined, undefined],
  ['pods are ready and do not answer', silent(), 'PolicyApplied', 'Unknown', 'PodsUnreachable'],
  ['pods are ready and do not answer', silent(), 'QueueHealthy', 'Unknown', 'PodsUnreachable'],
  ['pods are ready and never answered', silent(), 'Ready', 'False', 'PodsUnreachable'],
  ['pods are ready and never answered', silent(), 'Reconciling', 'True', 'PodsUnreachable'],
  ['pods do not answer any more', silent(3), 'Ready', 'True', 'Serving'],
  ['pods do not answer any more', silent(3), 'Reconciling', undefined, undefined],
  ['pods do not answer, and never had this spec', silent(2), 'Ready', 'False', 'PodsUnreachable'],
  ['a hop of the spec gets nothing', waiting([true, 120]), 'QueueHealthy', 'False', 'MailStuck'],
  ['a hop of the spec is slow', waiting([true, 119]), 'QueueHealthy', 'True', 'QueueMoving'],
  ['one domain of the world gets nothing', waiting([false, 900]), 'QueueHealthy', 'True', 'QueueMoving'],
  [
    'one of two domains gets nothing',
    waiting([false, 900], [false, 5]),
    'QueueHealthy',
    'True',
    'QueueMoving',
  ],
  ['no domain gets anything', waiting([false, 900], [false, 300]), 'QueueHealthy', 'False', 'MailStuck'],
  ['a queue is full', both({ queue: { ...IDLE, full: 'no space' } }), 'QueueHealthy', 'False', 'QueueFull'],
  ...OPEN.map(
    (changes): Case => ['the world may relay', changes, 'ConfigurationSound', 'False', 'OpenRelay'],
  ),
  ...NOT_OPEN.map(
    (changes): Case => ['few may relay, or to few', changes, 'ConfigurationSound', 'True', 'NothingToNote'],
  ),
  ['a claim is being deleted', going(), 'QueueHealthy', 'False', 'ClaimDeleted'],
  ['a claim that was found empty goes', going(EMPTY), 'QueueHealthy', 'True', 'QueueMoving'],
  ['a claim stays', going({ deletionTimestamp: undefined }), 'QueueHealthy', 'True', 'QueueMoving'],
  ['a copy of a claim goes', going({}, 'spool-relay-copy-0'), 'QueueHealthy', 'True', 'QueueMoving'],
  ['a claim that is not wanted goes', going({}, 'spool-relay-2'), 'QueueHealthy', 'True', 'QueueMoving'],
  ['nobody may send', { relay: closed() }, 'ConfigurationSound', 'False', 'NobodyMaySend'],
  ['no listener is there', { relay: closed(false) }, 'ConfigurationSound', 'True', 'NothingToNote'],
  [
    'the kind of a foreign issuer was left out before the rule existed',
    { relay: relayObject({ tls: { issuerRef: { name: 'ca', group: 'certmanager.step.sm' } } }) },
    'ConfigurationSound',
    'False',
    'StoredBeforeRule',
  ],
  [
    'the load balancer has no address',
    {
      ...reached(['10.0.0.0/8']),
      objects: new Map([['Service/relay', { kind: 'Service', metadata: { name: 'relay' } }]]),
    },
    'ConfigurationSound',
    'False',
    'LoadBalancerPending',
  ],
  [
    'the certificate ended while nobody looked',
    { ...both({}), now: Date.parse('2026-03-01T00:00:00Z') },
    'CertificateReady',
    'False',
    'CertificateExpired',
  ],
];

for (const [what, changes, type, status, reason] of CASES) {
  test(`judge: when ${what}, ${type} is ${status ?? 'absent'}${reason ? ` (${reason})` : ''}`, () => {
    const finding = judge(world(changes))[type];
    assert.equal(finding?.status, status, finding?.message ?? 'absent');
    assert.equal(finding?.reason, reason);
    if (finding) assertReads(finding.message, `${type}: ${finding.message}`);
  });
}

test('that there is no cert-manager is told with each field that needs it, and no other', () => {
  const issuerRef = { name: 'ca' };
  for (const [spec, words] of [
    [{ tls: { issuerRef } }, /^tls\.issuerRef is set, .*fill the Secret yourself and remove it$/],
    [{ tls: { secretName: 'a', internal: { issuerRef } } }, /^tls\.internal\.issuerRef is set, /],
    [
      { tls: { issuerRef, certificates: [{ hostnames: ['b.example'], issuerRef }] } },
      /^tls\.issuerRef and tls\.certificates\[0\]\.issuerRef are set, .*Secrets yourself and remove them$/,
    ],
    [
      {
        tls: { secretName: 'a' },
        inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['a.example'] },
        dns: { mtaSTS: { mode: 'Testing', serve: { issuerRef } } },
      },
      /^dns\.mtaSTS\.serve\.issuerRef is set, /,
    ],
  ] as const) {
    const { Stalled } = judge(world({ relay: relayObject(spec), absentKinds: ['Certificate'] }));
    assert.match(Stalled?.message ?? '', words);
    assertReads(Stalled?.message ?? '', 'CertManagerMissing');
  }
});

test('a relay that takes nothing but reports is not said to take mail from nobody', () => {
  const inbound = { listeners: [{ name: 'smtp', port: 25 }], clients: {} };
  const said = (more: object) =>
    judge(world({ relay: relayObject({ inbound: { ...inbound, ...more } }) })).ConfigurationSound?.message;
  assert.match(said({}) ?? '', /^The listener takes mail from nobody: /);
  for (const field of ['tlsReports', 'feedbackReports'])
    assert.match(
      said({ [field]: { address: 'r@a.example' } }) ?? '',
      /^The listener takes no mail but reports: /,
    );
});

test('judge quotes cert-manager while nothing is issued', () => {
  assert.match(judge(world(notIssued)).CertificateReady?.message ?? '', /issuer "ca" not found/);
});

test('every documented reason has a case above, and no other, but that of a look that failed', () => {
  const reasons = new Set(['LookFailed', ...CASES.flatMap(([, , , , reason]) => reason ?? [])]);
  assert.deepEqual([...reasons].toSorted(), Object.keys(REASONS).toSorted());
});
