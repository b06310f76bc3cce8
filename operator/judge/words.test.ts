/** Every message with a count, for none, one, two and many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { assertReads } from '#test/fixtures/sentences.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { listEvents } from '../report/events.ts';
import { renderStatus } from '../report/status.ts';
import type { Obstacle } from '../world.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';
import { counted, countedAmong, every, listed, quoted } from './words.ts';

const NUMBERS = [0, 1, 2, 3, 7];
const range = (count: number) => Array.from({ length: count }, (_, n) => n);

type Worlds = Record<string, Partial<Judged>>;

/** Two pods, of which each reports a number of something. */
function reports(count: number): Worlds {
  const relay = relayObject();
  const { queue, sessions } = podReport(relay);
  const each = (report: Partial<PodStatus>, of = relay): Partial<Judged> => ({
    relay: of,
    pods: [0, 1].map((n) => podView(`relay-${n}`, podReport(of, report))),
  });
  const inQueue = (changes: Partial<PodStatus['queue']>) =>
    each({ queue: { ...queue, depth: count, ...changes } });
  const waits = (seconds: number, configured = false) =>
    range(count).map((n) => ({
      destination: `d${n}.example`,
      configured,
      withoutSuccessSeconds: seconds,
      message: 'it said no',
    }));
  const said = range(count).map((n) => ({ destination: `d${n}.example`, message: 'it said no' }));
  const senders = range(count).map((n) => ({
    network: `192.0.2.${n}`,
    helo: 'client.example',
    lastSeen: '2026-01-01T00:00:00Z',
  }));
  const clear = { ...sessions, plaintextClients: count, plaintext: senders };
  const refused = { ...sessions, plaintextRefusedClients: count, plaintextRefused: senders };
  const required = relayObject({
    inbound: {
      listeners: [{ name: 'smtp', port: 25 }],
      starttls: 'Required',
      clients: { networks: ['10.0.0.0/8'] },
    },
  });
  const day = {
    day: '2025-12-31',
    reports: count,
    discarded: count,
    successes: count,
    failures: count,
  };
  return {
    'events wait': each({ events: { waiting: count, failure: 'HTTP status 500', hasDropped: false } }),
    'events wait, and some were dropped': each({
      events: { waiting: count, failure: null, hasDropped: true },
    }),
    'events wait for a receiver that fails, and some were dropped': each({
      events: { waiting: count, failure: 'HTTP status 500', hasDropped: true },
    }),
    'a filter fails': each({ filter: { failure: 'HTTP status 500' } }),
    'mail is held': inQueue({ held: count }),
    'a queue is full': inQueue({ full: 'queue.maxMessages is reached' }),
    'mail waits': inQueue({}),
    'mail waits for long': inQueue({ oldestSeconds: 7_200, deferrals: said }),
    'domains take none': inQueue({ waits: waits(3_000) }),
    'domains take none, and another does': inQueue({
      waits: [
        ...waits(3_000),
        { ...waits(1)[0], destination: 'e.example' } as ReturnType<typeof waits>[number],
      ].slice(-16),
    }),
    'hops take none': inQueue({ waits: waits(3_000, true), deferrals: said }),
    'logins are refused': inQueue({ loginsRefused: said }),
    'Secrets are held back': inQueue({ secretsHeldBack: said }),
    'references are missing': each({
      missing: range(count).map((n) => `dkim[${n}].secretName: Secret "x" is not there`),
    }),
    'clients speak plain text': each({ sessions: clear }),
    'clients are refused for it': each({ sessions: refused }, required),
    'sessions of an earlier policy': each({
      sessions: { ...sessions, ofOldPolicy: count, oldPolicyEnds: '2026-01-01T00:05:00Z' },
    }),
    'TLS reports': each({ tlsReports: day }),
    'an open relay': {
      relay: relayObject({
        service: { type: 'LoadBalancer' },
        inbound: {
          listeners: [{ name: 'smtp', port: 25 }],
          clients: { networks: ['0.0.0.0/0', ...range(count).map((n) => `${n + 20}.0.0.0/8`)] },
        },
      }),
    },
    'proxies that are anybody': {
      relay: relayObject({
        service: { type: 'LoadBalancer' },
        inbound: {
          listeners: [
            {
              name: 'smtp',
              port: 25,
              proxyProtocol: { networks: ['0.0.0.0/0', ...range(count).map((n) => `${n + 20}.0.0.0/8`)] },
            },
          ],
          clients: { networks: ['10.0.0.0/8'] },
        },
      }),
    },
    'nobody may send': {
      relay: relayObject({
        inbound: { listeners: range(count + 1).map((n) => ({ name: `l${n}`, port: 25 + n })), clients: {} },
      }),
    },
  };
}

function worlds(count: number): Worlds {
  const relay = relayObject({ replicas: count });
  const pods = (make: (n: number) => ReturnType<typeof podView>) => range(count).map(make);
  const report = podReport(relay);
  const named = (n: number) => podView(`relay-${n}`, report);
  const trouble = { reason: 'Unschedulable', message: 'Unschedulable', isStuck: false };
  const claims = range(count).map((n) => claimOf(`spool-relay-${n}`));
  return {
    'a rollout is held up': {
      pods: pods(named),
      leaving: [podView(`relay-${count}`, undefined, { ready: false, trouble })],
      objects: withSet({ replicas: count + 1, updatedReplicas: 0 }),
    },
    'a rollout has begun': { pods: pods(named), objects: withSet({ replicas: count, updatedReplicas: 1 }) },
    'claims are deleted': {
      pods: pods(named),
      objects: new Map(claims.map((claim) => [`${claim.kind}/${claim.metadata.name}`, claim])),
    },
    'Kubernetes complains': {
      pods: [],
      complaints: range(count).map((n) => ({
        object: `PersistentVolumeClaim/spool-relay-${n}`,
        reason: 'FailedBinding',
        message: 'no storage class is set',
      })),
    },
    'objects that mail does not need': {
      pods: pods(named),
      obstacles: range(count).map((): Obstacle => ({ kind: 'going', object: 'PodMonitor/relay' })),
    },
    serving: { pods: pods(named) },
    'gaps of the policy': {
      pods: pods((n) =>
        podView(`relay-${n}`, podReport(relay, { notInForce: range(count).map((gap) => `gap ${gap}`) })),
      ),
    },
    'nothing yet': { pods: [] },
    'not ready': { pods: pods((n) => podView(`relay-${n}`, undefined, { ready: false })) },
    'not ready for a reason': {
      pods: pods((n) =>
        podView(`relay-${n}`, undefined, {
          ready: false,
          trouble: { reason: 'Unschedulable', message: 'Unschedulable', isStuck: false },
        }),
      ),
    },
    silent: { pods: pods((n) => podView(`relay-${n}`, undefined)) },
    'an earlier policy': {
      pods: pods((n) => podView(`relay-${n}`, podReport(relay, { policy: { hash: 'old', refused: null } }))),
    },
    leaving: {
      pods: pods(named),
      leaving: range(count).map((n) =>
        podView(
          `relay-${count + n}`,
          podReport(relay, { evacuation: { state: 'HandingOver', message: null } }),
        ),
      ),
    },
    'names taken': {
      pods: pods(named),
      obstacles: range(count).map((n): Obstacle => ({ kind: 'nameTaken', object: `Service/relay-${n}` })),
    },
    'made anew': {
      pods: pods(named),
      obstacles: range(count).map((n): Obstacle => ({ kind: 'going', object: `Service/relay-${n}` })),
    },
    'other certificates': {
      pods: pods((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, { certificate: report.certificate && { ...report.certificate, serial: `${n}` } }),
        ),
      ),
    },
  };
}

function claimOf(name: string): KubeObject {
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  return {
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'mail', deletionTimestamp },
    spec: { volumeName: 'pvc-1' },
  };
}

function withSet(status: object): Map<string, KubeObject> {
  const set = { kind: 'StatefulSet', metadata: { name: 'relay', generation: 1 }, status };
  return new Map([['StatefulSet/relay', set]]);
}

for (const count of NUMBERS) {
  for (const [what, changes] of Object.entries({ ...worlds(count), ...reports(count) })) {
    test(`with ${count}: ${what}`, () => {
      const relay = changes.relay ?? relayObject({ replicas: count });
      const world: Judged = { obstacles: [], ...settledWorld({ relay }), ...changes };
      for (const [type, finding] of Object.entries(judge(world)))
        assertReads(finding?.message ?? '', `${type} ${finding?.message}`);
      for (const { note } of listEvents(undefined, renderStatus(world))) assertReads(note, `event ${note}`);
    });
  }
}

test('the words themselves', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => counted(count, 'pod')),
    ['no pods', '1 pod', '2 pods'],
  );
  assert.deepEqual(
    [1, 2, 3].map((count) => every(count, 'pod')),
    ['The pod', 'Both pods', 'All 3 pods'],
  );
  assert.deepEqual([countedAmong(0, 1, 'pod'), countedAmong(1, 2, 'pod')], ['0 of 1 pod', '1 of 2 pods']);
  assert.deepEqual(
    [[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map((names) => listed(names, 2)),
    ['', 'a', 'a and b', 'a, b and 1 more'],
  );
  assert.equal(quoted(' a\n  b ', 3), 'a b');
  assert.equal(quoted('abcd', 3), 'ab…');
  assert.equal(quoted('a😀bc', 3), 'a…');
});
