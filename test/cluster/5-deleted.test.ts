/**
 * Mail whose next hop is down, on a real cluster: it outlives its pod and its MailRelay, whose objects all go, and goes out
 * when there is a MailRelay of that name again.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  installOperator,
  kubectl,
  makeNamespace,
  podStatus,
  podsOf,
  prepared,
  serviceAddress,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'deleted';
const HOP_PORT = 2524;
const MANIFEST = `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  replicas: 2
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound: {smartHosts: [{host: ${prepared().nodeAddress}, port: ${HOP_PORT}}]}
`;
const KINDS =
  'statefulset,pod,service,configmap,serviceaccount,poddisruptionbudget,networkpolicy,certificate,lease';

let sink: Sink;

async function send(id: string): Promise<void> {
  const host = serviceAddress(NAMESPACE);
  // The Service is that of kube-proxy, which may take a moment to learn of the pods.
  const client = await until('the Service to reach a pod', () => SmtpClient.connect(25, host));
  await client.hello();
  assert.match(await client.send('a@client.example', ['b@example.com'], messageText(id)), /^250/);
  await client.quit();
}

async function podWithQueue(): Promise<string | undefined> {
  for (const { name, ip } of podsOf(NAMESPACE)) {
    if (!ip) continue;
    const status = await podStatus(ip).catch(() => undefined);
    if (status && status.queue.depth > 0) return name;
  }
  return undefined;
}

const leftovers = () =>
  kubectl(['get', KINDS, '-n', NAMESPACE, '-l', 'app.kubernetes.io/instance=relay', '-o', 'name']);

before(async () => {
  installOperator();
  makeNamespace(NAMESPACE);
  sink = await Sink.start({ port: HOP_PORT, host: prepared().nodeAddress });
  await sink.down();
  apply(MANIFEST);
  waitReady(NAMESPACE);
});

after(async () => {
  await sink?.down();
  kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
});

test('mail that waits outlives its pod and its MailRelay, and goes out at the end', async () => {
  await send('waiting');
  const holder = await until('the waiting message', () => podWithQueue());
  kubectl(['delete', 'pod', holder, '-n', NAMESPACE]);
  await until('the pod with its queue again', async () => (await podWithQueue()) === holder, 120_000);

  kubectl(['delete', 'mailrelay', 'relay', '-n', NAMESPACE]);
  await until('everything to go', () => leftovers() === '', 120_000);
  const claims = kubectl(['get', 'pvc', '-n', NAMESPACE, '-o', 'name']).split('\n');
  assert.deepEqual(claims, ['persistentvolumeclaim/spool-relay-0', 'persistentvolumeclaim/spool-relay-1']);
  assert.match(kubectl(['get', 'secret', '-n', NAMESPACE, '-o', 'name']), /secret\/relay-tls/);

  // A router that begins tries everything at once.
  await sink.up();
  apply(MANIFEST);
  waitReady(NAMESPACE);
  await until('the message', () => sink.counts().get('waiting') === 1, 60_000);
  await until('empty queues', async () => (await podWithQueue()) === undefined);
});
