/**
 * Back to an older version and up again, operator and relay apart, with mail in the queues and clients at work: what
 * was promised arrives, nobody is refused, and pods are replaced only where they must, a few relays at a time.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { projectVersion } from '#cli/version.ts';
import { Ledger } from '#test/kit/ledger.ts';
import { type Load, startLoad } from '#test/kit/load.ts';
import { Sink } from '#test/kit/sink.ts';
import { type ConnectionStream, streamOfConnections } from '#test/kit/stream.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  installOperator,
  kubectl,
  makeNamespace,
  podStatus,
  podsOf,
  prepared,
  type RelayPod,
  relayOf,
  serviceAddress,
  statusUntil,
  waitReady,
} from './kube.ts';
import { OLDER_VERSION } from './older.ts';

const NAMESPACE = 'versions';
const HOP_PORT = 2527;
/** Of a busy machine: a pod takes a quarter of a minute by itself. */
const ROLL_MS = 400_000;
const CLIENTS = 3;
const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
/** By `make soak` the clients leave no pause. */
const PAUSE_MS = SOAK ? 0 : 25;
const RELAYS: readonly (readonly [string, number])[] = SOAK
  ? [
      ['relay', 2],
      ['other', 1],
    ]
  : [['relay', 2]];

const manifest = (name: string, replicas: number, recipients = 100) => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: ${name}, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  replicas: ${replicas}
  tls: {issuerRef: {name: ca}}
  inbound:
    limits: {recipients: ${recipients}}
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound: {smartHosts: [{host: ${prepared().nodeAddress}, port: ${HOP_PORT}}]}
`;

const ledger = new Ledger();
let sink: Sink;
let load: Load;
let stream: ConnectionStream;

/** One relay at a time. */
const install = (operatorTag: string, relayTag: string) =>
  installOperator(
    `image.tag=${operatorTag}`,
    `relay.image.tag=${relayTag}`,
    'extraArgs={--rolling-relays=1}',
  );
const reasonOf = (name: string) => conditionOf(relayOf(NAMESPACE, name), 'Reconciling')?.reason;

async function versionsOf(name: string): Promise<string> {
  const statuses = await Promise.all(podsOf(NAMESPACE, name).map(({ ip }) => podStatus(ip)));
  return statuses.map(({ version, ready }) => `${version}${ready ? '' : ' not ready'}`).join();
}

function isSettled(name: string, replicas: number): boolean {
  const relay = relayOf(NAMESPACE, name);
  return relay.status.policy.podsServing === replicas && conditionOf(relay, 'Reconciling') === undefined;
}

async function rolled(version: string): Promise<void> {
  for (const [name, replicas] of RELAYS) {
    const wanted = Array.from({ length: replicas }, () => version).join();
    await until(
      `every pod of ${name} to be of version ${version}`,
      async () => (await versionsOf(name)) === wanted && isSettled(name, replicas),
      ROLL_MS,
    );
  }
}

describe('versions', {
  concurrency: false,
  skip: prepared().olderTag === '' && 'needs an older image',
}, () => {
  const { image, olderTag } = prepared();

  before(async () => {
    install(olderTag, olderTag);
    makeNamespace(NAMESPACE);
    sink = await Sink.start({ port: HOP_PORT, host: prepared().nodeAddress });
    await sink.down();
    for (const [name, replicas] of RELAYS) apply(manifest(name, replicas));
    for (const [name] of RELAYS) waitReady(NAMESPACE, name);
    assert.equal(await versionsOf('relay'), `${OLDER_VERSION},${OLDER_VERSION}`);
    const service = serviceAddress(NAMESPACE);
    await until('the Service to reach a pod', async () => {
      stream = await streamOfConnections(25, { host: service, pauseMs: PAUSE_MS });
      return true;
    });
    load = startLoad(25, ledger, 'versions', { clients: CLIENTS, host: service, pauseMs: PAUSE_MS });
    await until('mail to wait', () => ledger.promised.size > 20);
  });

  after(async () => {
    await load?.stop();
    await sink?.down();
  });

  test('a new operator leaves relays alone whose image is what it was, and changes their policy all the same', async () => {
    await operatorAlone(image.tag, olderTag, 50);
  });

  test('then the relays: each pod comes back with its queue', async () => {
    install(image.tag, image.tag);
    await rolled(projectVersion());
  });

  test('back to the older operator, newer relays are left alone; a pod that is evicted comes back with its queue', async () => {
    const [pod] = podsOf(NAMESPACE);
    evict(pod?.name ?? '');
    await operatorAlone(olderTag, image.tag, 60, pod?.name);
    assert.ok(isReplaced(pod), 'the pod was evicted');
  });

  if (SOAK) {
    test('in full: back with the relays too, one relay at a time, a pod that is deleted, and up again', async () => {
      install(olderTag, olderTag);
      await until('one to wait for the other', () =>
        RELAYS.some(([name]) => reasonOf(name) === 'RolloutWaits'),
      );
      await rolled(OLDER_VERSION);
      const [pod] = podsOf(NAMESPACE);
      kubectl(['delete', 'pod', pod?.name ?? '', '-n', NAMESPACE, '--wait=false']);
      await until('another pod in its place', () => isReplaced(pod), ROLL_MS);
      install(image.tag, image.tag);
      await rolled(projectVersion());
    });

    test('in full: kubectl drain moves one pod after the other', async () => {
      const pods = podsOf(NAMESPACE);
      const node = kubectl(['get', 'nodes', '-o', 'name']);
      const drained = drain(node);
      const uids = () => podsOf(NAMESPACE).map(({ uid }) => uid);
      await until('the first to go', () => pods.some(({ uid }) => !uids().includes(uid)), ROLL_MS);
      // There is no other node to go to: the budget holds the second back until the first serves again.
      kubectl(['uncordon', node]);
      assert.equal(await drained, 0);
      for (const pod of pods)
        await until(`another pod in place of ${pod.name}`, () => isReplaced(pod), ROLL_MS);
    });
  }

  test('nobody was refused, and everything that was promised arrives', async () => {
    const { connections, failures } = await stream.stop();
    assert.deepEqual(failures, []);
    assert.ok(connections > 100, `only ${connections} connections were made`);
    await load.stop();
    assert.ok(ledger.promised.size > 100, `only ${ledger.promised.size} messages were sent`);
    await sink.up();
    // A router that begins anew tries everything at once.
    const limits = '{"spec":{"outbound":{"limits":{"connectionsPerDestination":10}}}}';
    kubectl(['patch', 'mr', 'relay', '-n', NAMESPACE, '--type=merge', '-p', limits]);
    await until('every message', () => ledger.missingAt(sink).length === 0, ROLL_MS);
    assert.equal(ledger.settle(sink), 0, 'arrived twice');
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE]);
  });
});

function evict(name: string): void {
  const metadata = { name, namespace: NAMESPACE };
  const eviction = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata });
  kubectl(['create', '--raw', `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`, '-f', '-'], eviction);
}

/** As a person empties a node, of this relay; resolves with the exit status. */
function drain(node: string): Promise<number | null> {
  const { kubectl: program, kubeconfig } = prepared();
  const which = '--pod-selector=app.kubernetes.io/instance=relay';
  const args = ['--kubeconfig', kubeconfig, 'drain', node, which, `--timeout=${ROLL_MS / 1_000}s`];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve) => child.once('exit', resolve));
}

/** Another operator, with the relays as they are: it takes a change of policy to them, and replaces none. */
async function operatorAlone(
  operatorTag: string,
  relayTag: string,
  recipients: number,
  evicted?: string,
): Promise<void> {
  const kept = () => podsOf(NAMESPACE).filter(({ name }) => name !== evicted);
  const before = kept();
  install(operatorTag, relayTag);
  apply(manifest('relay', 2, recipients));
  await statusUntil(
    'the policy in force',
    NAMESPACE,
    ({ metadata, status }) =>
      isSettled('relay', 2) &&
      status.conditions.every(({ observedGeneration }) => observedGeneration === metadata.generation),
  );
  assert.deepEqual(kept(), before);
}

function isReplaced(pod: RelayPod | undefined): boolean {
  return (
    podsOf(NAMESPACE).some(({ name, uid }) => name === pod?.name && uid !== pod.uid) && isSettled('relay', 2)
  );
}
