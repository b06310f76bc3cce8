/**
 * A relay that grows and shrinks with mail in its queues: by kubectl scale, by a HorizontalPodAutoscaler, and to zero.
 * What was promised arrives once, and a claim goes when it is empty, not before. In full: 10,000 messages, and the
 * operator ends in the middle; by "make test" the stories of the operator show this alone (test/operator/2-faults).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ledger } from '#test/kit/ledger.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  installOperator,
  kubectl,
  makeNamespace,
  OPERATOR_NAMESPACE,
  podStatus,
  podsOf,
  prepared,
  type RelayObject,
  relayOf,
  retryAll,
  statusUntil,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'scale';
const HOP_PORT = 2526;
const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
const MESSAGES = SOAK ? 10_000 : 300;
const SENDERS = 8;
const WITHIN_MS = SOAK ? 600_000 : 120_000;

const manifest = (replicas?: number) => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  ${replicas === undefined ? '' : `replicas: ${replicas}`}
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound: {smartHosts: [{host: ${prepared().nodeAddress}, port: ${HOP_PORT}}]}
`;

const ledger = new Ledger();
let sink: Sink;

const claims = () =>
  kubectl(['get', 'pvc', '-n', NAMESPACE, '-o', 'name'])
    .split('\n')
    .map((name) => name.slice(name.indexOf('/') + 1));
const scale = (replicas: number) => kubectl(['scale', 'mr/relay', '-n', NAMESPACE, `--replicas=${replicas}`]);
/** Its bounds act without any figures of load. */
const autoscale = (minReplicas: number, maxReplicas: number) =>
  apply(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  scaleTargetRef: {apiVersion: mailrelay.dev/v1alpha1, kind: MailRelay, name: relay}
  minReplicas: ${minReplicas}
  maxReplicas: ${maxReplicas}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`);
const podNames = () => podsOf(NAMESPACE).map(({ name }) => name);
const reasonOf = (type: string) => conditionOf(relayOf(NAMESPACE), type)?.reason;

/** Takes `count` messages to one pod, past the Service, so that it is known where they are. */
async function fill(pod: string, count: number): Promise<void> {
  const { ip = '' } = podsOf(NAMESPACE).find(({ name }) => name === pod) ?? {};
  const left = Array.from({ length: count }, (_, index) => `${pod}-${ledger.promised.size + index}`);
  const send = async () => {
    const client = await SmtpClient.connect(10_025, ip);
    await client.hello();
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const reply = await client.send('a@client.example', ['b@example.com'], messageText(id));
      assert.match(reply, /^250/);
      ledger.promised.add(id);
    }
    await client.quit();
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
}

async function depthOf(pod: string): Promise<number> {
  const { ip = '' } = podsOf(NAMESPACE).find(({ name }) => name === pod) ?? {};
  return (await podStatus(ip)).queue.depth;
}

/** Everything that was promised is at the next hop, once; nothing waits for a pause to end. */
async function deliverAll(...pods: string[]): Promise<void> {
  await sink.up();
  for (const pod of pods) retryAll(NAMESPACE, pod);
  await until('every message', () => ledger.missingAt(sink).length === 0, WITHIN_MS);
  assert.equal(ledger.settle(sink), 0, 'arrived twice');
  await sink.down();
}

describe('a relay that scales', { concurrency: false }, () => {
  before(async () => {
    installOperator();
    makeNamespace(NAMESPACE);
    sink = await Sink.start({ port: HOP_PORT, host: prepared().nodeAddress });
    await sink.down();
    apply(manifest());
    waitReady(NAMESPACE);
  });
  after(() => sink?.down());

  test('kubectl scale makes more pods, each with a claim of its own', async () => {
    scale(2);
    await statusUntil('two pods', NAMESPACE, ({ status }) => status.policy.podsServing === 2);
    assert.deepEqual(claims(), ['spool-relay-0', 'spool-relay-1']);
  });

  test('a HorizontalPodAutoscaler on the MailRelay decides, and nobody takes it back', async () => {
    autoscale(3, 3);
    await statusUntil('three pods', NAMESPACE, ({ status }) => status.policy.podsServing === 3);
    apply(manifest());
    assert.deepEqual(podNames(), ['relay-0', 'relay-1', 'relay-2']);
  });

  test(`it scales in with ${MESSAGES} messages and the next hop down: the queues go to the pod that stays`, async () => {
    await fill('relay-1', MESSAGES / 2);
    await fill('relay-2', MESSAGES / 2);
    autoscale(1, 1);
    const isScalingIn = (relay: RelayObject) => conditionOf(relay, 'Reconciling')?.reason === 'ScalingIn';
    await statusUntil('the status to say so', NAMESPACE, isScalingIn);
    // What is decided is in the cluster, not in the operator. Other files run beside this one by "make test".
    if (SOAK) kubectl(['delete', 'pods', '--all', '-n', OPERATOR_NAMESPACE, '--wait=false']);
    await until('one pod', () => podNames().join() === 'relay-0', WITHIN_MS);
    await until('one claim', () => claims().join() === 'spool-relay-0');
    await until('all messages there', async () => (await depthOf('relay-0')) === MESSAGES);
    kubectl(['delete', 'hpa', 'relay', '-n', NAMESPACE]);
    waitReady(NAMESPACE);
    await deliverAll('relay-0');
  });

  test('scaled to zero there is nobody to hand over to: the pod and its claim stay while there is mail', async () => {
    await fill('relay-0', 10);
    scale(0);
    await until('the reason', () => reasonOf('Reconciling') === 'ScaleInWaits', WITHIN_MS);
    assert.deepEqual(claims(), ['spool-relay-0']);
  });

  test('a claim with mail that lost its pod brings it back, until the mail is out', async () => {
    kubectl(['delete', 'mailrelay', 'relay', '-n', NAMESPACE]);
    await until('no pod', () => podNames().length === 0, WITHIN_MS);
    assert.deepEqual(claims(), ['spool-relay-0']);
    apply(manifest(0));
    await until('the pod with its queue again', async () => (await depthOf('relay-0')) === 10, WITHIN_MS);
    await deliverAll('relay-0');
    await until('no pod and no claim', () => podNames().length === 0 && claims().join() === '', WITHIN_MS);
    await statusUntil('the status to say so', NAMESPACE, () => reasonOf('Ready') === 'ScaledToZero');
    kubectl(['delete', 'mailrelay', 'relay', '-n', NAMESPACE]);
  });
});
