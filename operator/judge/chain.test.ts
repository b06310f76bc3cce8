import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConditionType } from '#crds/conditions.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';

const world = (changes: Partial<Judged> = {}): Judged => ({
  obstacles: [],
  ...settledWorld(changes),
  ...changes,
});
const relay = relayObject();

/** What is known, and which condition says what of it. */
const CASES: readonly [string, Partial<Judged>, ConditionType, string | undefined, string | undefined][] = [
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
  [
    'the mounted key does not match',
    {
      pods: [0, 1].map((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, { certificateProblem: { reason: 'KeyMismatch', message: 'no match' } }),
        ),
      ),
    },
    'CertificateReady',
    'False',
    'KeyMismatch',
  ],
  [
    'the mounted key does not match',
    {
      pods: [0, 1].map((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, { certificateProblem: { reason: 'KeyMismatch', message: 'no match' } }),
        ),
      ),
    },
    'Ready',
    'True',
    'Serving',
  ],
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
  [
    'mail is held',
    {
      pods: [0, 1].map((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, {
            queue: { depth: 1, held: 1, oldestSeconds: 5, deferrals: [], loginsRefused: [] },
          }),
        ),
      ),
    },
    'QueueHealthy',
    'False',
    'MailHeld',
  ],
  [
    'mail waits for two hours',
    {
      pods: [0, 1].map((n) =>
        podView(
          `relay-${n}`,
          podReport(relay, {
            queue: { depth: 1, held: 0, oldestSeconds: 7_200, deferrals: [], loginsRefused: [] },
          }),
        ),
      ),
    },
    'QueueHealthy',
    'False',
    'MailWaiting',
  ],
];

for (const [what, changes, type, status, reason] of CASES) {
  test(`judge: when ${what}, ${type} is ${status ?? 'absent'}${reason ? ` (${reason})` : ''}`, () => {
    const finding = judge(world(changes))[type];
    assert.equal(finding?.status, status, finding?.message ?? 'absent');
    assert.equal(finding?.reason, reason);
  });
}

test('judge quotes cert-manager while nothing is issued', () => {
  const missing = { reason: 'CertificateMissing', message: 'missing' };
  const wanting = relayObject({ tls: { issuerRef: { name: 'ca' } } });
  const base = settledWorld({ relay: wanting });
  const certificate = {
    ...base.objects.get('Certificate/relay'),
    status: { conditions: [{ type: 'Ready', status: 'False', message: 'issuer "ca" not found' }] },
  };
  const objects = new Map([...base.objects, ['Certificate/relay', certificate as never]]);
  const pods = [podView('relay-0', podReport(wanting, { certificate: null, certificateProblem: missing }))];
  const finding = judge(world({ relay: wanting, objects, pods, policy: base.policy })).CertificateReady;
  assert.equal(finding?.reason, 'CertificateNotIssued');
  assert.match(finding?.message ?? '', /issuer "ca" not found/);
});
