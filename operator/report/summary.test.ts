/** The conditions in one line, as kubectl shows them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '#crds/status.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { renderStatus } from './status.ts';
import { summarize } from './summary.ts';

const condition = (
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
const SERVING = condition('Ready', 'True', 'Serving', 'The pod serves');
const QUEUE_OK = condition('QueueHealthy', 'True', 'QueueMoving', 'No mail waits');
const STUCK = condition('QueueHealthy', 'False', 'MailStuck', 'nothing goes out');
const OPEN = condition('ConfigurationSound', 'False', 'OpenRelay', 'anybody may relay');
const PENDING = condition('ConfigurationSound', 'False', 'LoadBalancerPending', 'no address yet');
const NOT_READY = condition('Ready', 'False', 'PodsNotReady', '0 of 1 pod is ready');
const TAKEN = condition('Ready', 'False', 'NameTaken', 'rename it');
const POLICY_PENDING = condition('PolicyApplied', 'False', 'PolicyPending', 'in force on 0 of 1 pod');
const UNSEEN = condition('QueueHealthy', 'Unknown', 'PodsNotReady', 'No pod has told');
const CHANGING = condition('Reconciling', 'True', 'PolicyChanging', 'on its way');
const FAILED = condition('Reconciling', 'True', 'WriteFailed', 'a webhook is down');

const TABLE: readonly [string, Condition[], ReturnType<typeof summarize>][] = [
  ['nothing', [], {}],
  ['all is well', [SERVING, QUEUE_OK], { message: 'The pod serves' }],
  [
    'a condition other than Ready is False',
    [SERVING, STUCK],
    { problems: 'QueueHealthy', message: 'MailStuck: nothing goes out' },
  ],
  [
    'two causes',
    [SERVING, STUCK, OPEN],
    {
      problems: 'QueueHealthy,ConfigurationSound',
      message: 'MailStuck: nothing goes out; also OpenRelay: anybody may relay',
    },
  ],
  [
    'one cause in several conditions, and its consequences',
    [NOT_READY, { ...NOT_READY, type: 'Stalled', status: 'True' }, POLICY_PENDING, UNSEEN],
    {
      problems: 'Ready,Stalled,PolicyApplied,QueueHealthy',
      message: '0 of 1 pod is ready',
    },
  ],
  ['a change on its way', [SERVING, CHANGING], { message: 'PolicyChanging: on its way' }],
  [
    'something in the way of the operator',
    [SERVING, FAILED],
    { problems: 'Reconciling', message: 'WriteFailed: a webhook is down' },
  ],
  [
    'a load balancer that is pending',
    [SERVING, PENDING],
    { problems: 'ConfigurationSound', message: 'LoadBalancerPending: no address yet' },
  ],
  [
    'a load balancer that is pending, beside a cause',
    [SERVING, STUCK, PENDING],
    {
      problems: 'QueueHealthy,ConfigurationSound',
      message: 'MailStuck: nothing goes out; also LoadBalancerPending: no address yet',
    },
  ],
  [
    'no pod because of a name',
    [TAKEN, { ...TAKEN, type: 'Stalled', status: 'True' }, POLICY_PENDING, UNSEEN],
    {
      problems: 'Ready,Stalled,PolicyApplied,QueueHealthy',
      message: 'rename it',
    },
  ],
];

for (const [what, conditions, summary] of TABLE)
  test(`summary: ${what}`, () => assert.deepEqual(summarize(conditions), summary));

test('the status of a relay with a fault of delivery names it in the message', () => {
  const relay = relayObject();
  const loginsRefused = [{ destination: 'hop.example', message: '535 5.7.8 no' }];
  const queue = { ...podReport(relay).queue, loginsRefused };
  const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(relay, { queue })));
  const { problems, message } = renderStatus({ ...settledWorld({ relay, pods }), obstacles: [] });
  assert.equal(problems, 'QueueHealthy');
  assert.match(message ?? '', /^LoginRefused: .*hop\.example .*535 5\.7\.8 no: correct the Secret/);
});

const LISTENERS = [{ name: 'smtp', port: 25 }];
const WITHOUT_PODS: readonly [string, Readonly<Record<string, unknown>>][] = [
  ['STARTTLS', { inbound: { starttls: 'Required', listeners: LISTENERS } }],
  ['TLS from the first byte', { inbound: { listeners: [{ name: 'smtps', port: 465, implicitTLS: true }] } }],
  ['an issuer', { tls: { issuerRef: { name: 'ca' } } }],
  ['a certificate inside the cluster', { tls: { internal: { issuerRef: { name: 'ca' } } } }],
  ['no listener', { inbound: { enabled: false, listeners: LISTENERS } }],
];
for (const [what, changes] of WITHOUT_PODS)
  test(`a relay with ${what} and without pods has no problem: nobody serves a certificate`, () => {
    const relay = relayObject({ ...changes, replicas: 0 });
    const objects = new Map(
      [...liveObjects(relay)].map(([name, object]) => [
        name,
        object.kind === 'StatefulSet'
          ? { ...object, status: { observedGeneration: 1, replicas: 0 } }
          : object,
      ]),
    );
    const { problems, message } = renderStatus({
      ...settledWorld({ relay, pods: [], objects }),
      obstacles: [],
    });
    assert.equal(problems, undefined);
    assert.equal(message, 'No pods are wanted');
  });
