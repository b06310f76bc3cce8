/** A relay that grows and changes on a real cluster, held against the restart contract: what is replaced and what is not. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  eventsOf,
  get,
  installOperator,
  kubectl,
  makeNamespace,
  podStatus,
  podsOf,
  prepared,
  relayOf,
  serviceAddress,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'growing';
const CLAIM = 'spool-relay-0';

interface Wish {
  readonly name?: string;
  readonly listeners?: string;
  readonly login?: string;
  readonly size?: string;
  readonly className?: string;
}

/** Nobody answers at the next hop: what is sent waits. */
function manifest({
  name = 'relay',
  listeners = '[{name: smtp, port: 25}]',
  login = 'first',
  size = '1Gi',
  className = 'standard',
}: Wish = {}): string {
  return `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: ${name}, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  inbound: {starttls: Disabled, listeners: ${listeners}, clients: {networks: [10.0.0.0/8]}}
  outbound:
    tls: {discover: []}
    smartHosts: [{host: ${prepared().nodeAddress}, port: 9, credentialsSecretName: ${login}}]
  queue: {storage: {size: ${size}, className: ${className}}}
`;
}

interface StatefulSet {
  readonly metadata: { readonly uid: string };
  readonly spec: { readonly volumeClaimTemplates: { readonly spec: { readonly resources: unknown } }[] };
}

const identity = (name?: string) => podsOf(NAMESPACE, name).map(({ uid, restarts }) => `${uid} ${restarts}`);
const storageOf = (object: string) =>
  kubectl(['get', object, '-n', NAMESPACE, '-o', 'jsonpath={.spec.resources.requests.storage}']);
const servicePorts = () =>
  kubectl(['get', 'service', 'relay', '-n', NAMESPACE, '-o', 'jsonpath={.spec.ports[*].port}']);
const depthOf = async () => (await podStatus(podsOf(NAMESPACE)[0]?.ip ?? '')).queue.depth;

async function send(id: string, port: number): Promise<string> {
  const client = await SmtpClient.connect(port, serviceAddress(NAMESPACE));
  await client.hello();
  const reply = await client.send('a@client.example', ['b@example.com'], messageText(id));
  await client.quit();
  return reply;
}

describe('a MailRelay that grows', { concurrency: false }, () => {
  before(() => {
    installOperator();
    makeNamespace(NAMESPACE);
    apply(`
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fixed}
provisioner: kubernetes.io/host-path
`);
    for (const name of ['first', 'second'])
      apply(`
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${NAMESPACE}}
stringData: {username: relay, password: ${name}-password}
`);
    apply(manifest());
    apply(manifest({ name: 'fixed', className: 'fixed' }));
    waitReady(NAMESPACE);
    waitReady(NAMESPACE, 'fixed');
  });

  after(() => {
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE]);
    kubectl(['delete', 'pvc', '--all', '-n', NAMESPACE, '--wait=false']);
    kubectl(['delete', 'storageclass', 'fixed']);
  });

  test('a listener comes and goes with the port of the Service, and no pod is replaced', async () => {
    const before = identity();
    apply(manifest({ listeners: '[{name: smtp, port: 25}, {name: second, port: 2525}]' }));
    await until('the port of the Service', () => servicePorts() === '25 2525');
    await until('mail through it', async () => (await send('new-port', 2525)).startsWith('250'), 60_000);
    apply(manifest());
    await until('the port to go', () => servicePorts() === '25');
    const [pod] = podsOf(NAMESPACE);
    await until('the pod to let go of it', () =>
      SmtpClient.connect(2525, pod?.ip).then(
        (client) => {
          client.close();
          return false;
        },
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    assert.deepEqual(identity(), before);
    assert.equal(await depthOf(), 1);
  });

  test('larger storage: the claim grows and the StatefulSet is made anew, around a pod that runs on', async () => {
    const before = {
      pods: identity(),
      set: get<StatefulSet>('statefulset', 'relay', NAMESPACE).metadata.uid,
    };
    apply(manifest({ size: '2Gi' }));
    const made = await until('another StatefulSet', () => {
      const set = get<StatefulSet>('statefulset', 'relay', NAMESPACE);
      return set.metadata.uid === before.set ? undefined : set;
    });
    assert.deepEqual(made.spec.volumeClaimTemplates[0]?.spec.resources, { requests: { storage: '2Gi' } });
    assert.equal(storageOf(`pvc/${CLAIM}`), '2Gi');
    waitReady(NAMESPACE);
    assert.deepEqual(identity(), before.pods);
    assert.equal(conditionOf(relayOf(NAMESPACE), 'Stalled'), undefined);
    const denied = eventsOf(NAMESPACE, 'Denied').filter((note) => note.includes('StatefulSet/relay'));
    assert.deepEqual(denied, [], 'nothing was tried that could not be');
  });

  test('a class that cannot grow is Stalled in the words of the API server, and the pods run on', () => {
    const before = identity('fixed');
    apply(manifest({ name: 'fixed', className: 'fixed', size: '2Gi' }));
    kubectl(['wait', 'mr/fixed', '-n', NAMESPACE, '--for=condition=Stalled', '--timeout=120s']);
    const stalled = conditionOf(relayOf(NAMESPACE, 'fixed'), 'Stalled');
    assert.equal(stalled?.reason, 'Denied');
    assert.match(stalled.message, /StatefulSet\/fixed: .*storageclass.* must support resize/);
    assert.deepEqual(identity('fixed'), before);
  });

  test('another Secret named, and another size of the pod, roll it: it has both and keeps its queue', async () => {
    const [before] = podsOf(NAMESPACE);
    const limits = '{cpu: "2", memory: 1Gi}';
    apply(`${manifest({ size: '2Gi', login: 'second' })}  pod: {resources: {limits: ${limits}}}\n`);
    await until(
      'another pod',
      () => {
        const [pod] = podsOf(NAMESPACE);
        return pod !== undefined && pod.uid !== before?.uid && pod.ip !== '';
      },
      180_000,
    );
    waitReady(NAMESPACE);
    const { missing } = await podStatus(podsOf(NAMESPACE)[0]?.ip ?? '');
    assert.deepEqual(missing, []);
    const { spec } = get<{ spec: { containers: { resources: { limits: unknown } }[] } }>(
      'pod',
      'relay-0',
      NAMESPACE,
    );
    assert.deepEqual(spec.containers[0]?.resources.limits, { cpu: '2', memory: '1Gi' });
    await until('the queue of the pod before', async () => (await depthOf()) === 1);
  });

  test('another queue.mode is refused with the way to move, and nothing changes', () => {
    const before = relayOf(NAMESPACE).metadata;
    const patch = '{"spec":{"queue":{"mode":"CutThrough","storage":null}}}';
    assert.throws(
      () => kubectl(['patch', 'mr', 'relay', '-n', NAMESPACE, '--type=merge', '-p', patch]),
      /queue\.mode cannot change: make a second MailRelay/,
    );
    assert.equal(relayOf(NAMESPACE).metadata.generation, before.generation);
  });
});
