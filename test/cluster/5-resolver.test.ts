/**
 * The resolver beside the relay: Unbound in a restricted pod, with the anchor of a signed tree of our own. The name server
 * of the tree has the addresses of the root servers, in the network of the cluster alone.
 */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { makePair } from '#test/kit/ca.ts';
import { DnsTree } from '#test/kit/dnstree.ts';
import { Hop } from '#test/kit/hop.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  get,
  installOperator,
  kubectl,
  makeNamespace,
  podStatus,
  podsOf,
  prepared,
  relayOf,
  retryAll,
  statusUntil,
  waitReady,
} from './kube.ts';
import { loadResolverImage } from './resolverimage.ts';
import { command } from './supervise.ts';

const NAMESPACE = 'dane';
const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
/** Unbound knows these addresses by heart. */
const ROOT_SERVERS = [
  '198.41.0.4',
  '170.247.170.2',
  '192.33.4.12',
  '199.7.91.13',
  '192.203.230.10',
  '192.5.5.241',
  '192.112.36.4',
  '198.97.190.53',
  '192.36.148.17',
  '192.58.128.30',
  '193.0.14.129',
  '199.7.83.42',
  '202.12.27.33',
];
const [ROOT = '', ...OTHER_ROOTS] = ROOT_SERVERS;
const { nodeAddress: NODE, containerd } = prepared();

const loopback = (verb: 'add' | 'del') => {
  for (const address of ROOT_SERVERS) command('ip', ['address', verb, `${address}/32`, 'dev', 'lo']);
};

/** A domain with an MX host of its own, whose TLSA record is that of the hop. */
const domain = (name: string, tlsa: string) => [
  `${name}.signed.example. MX 10 mx.${name}.signed.example.`,
  `mx.${name}.signed.example. A ${NODE}`,
  `_25._tcp.mx.${name}.signed.example. TLSA 3 1 1 ${tlsa}`,
];

/** `hop` is a name of the cluster only: the DNS of the Internet says that it does not exist. */
const manifest = (image: string) => `
apiVersion: v1
kind: Service
metadata: {name: hop, namespace: ${NAMESPACE}}
spec: {clusterIP: None, ports: [{port: 25}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hop, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: hop}}
addressType: IPv4
endpoints: [{addresses: [${NODE}]}]
ports: [{port: 25}]
---
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound:
    tls: {level: Opportunistic, discover: [DANE]}
    resolver: {sidecar: {image: ${image}, resources: {limits: {memory: 128Mi}}}}
`;

const addressOf = () => podsOf(NAMESPACE)[0]?.ip ?? '';

async function send(id: string, to: string): Promise<void> {
  const client = await SmtpClient.connect(10_025, addressOf());
  await client.hello();
  assert.match(await client.send('a@client.example', [to], messageText(id)), /^250/);
  await client.quit();
}

/** Lines of the relay about a message that is delivered or waits. */
const linesAbout = (to: string) =>
  kubectl(['logs', 'relay-0', '-n', NAMESPACE, '-c', 'relay'])
    .split('\n')
    .filter((line) => /"event":"(delivered|deferred|bounced)"/.test(line) && line.includes(to));

const isProven = (line: string) => /"event":"delivered".*"tlsLevel":"Dane".*"verified":true/.test(line);

describe('a resolver beside the relay', {
  concurrency: false,
  skip: containerd === '' ? 'it needs a cluster that takes an image from a file' : false,
}, () => {
  let tree: DnsTree;
  let hop: Hop;
  /** Of the pod that was told to end. */
  let ended: string | undefined;

  before(async () => {
    const pair = await makePair('mail.example');
    const key = new X509Certificate(pair.cert).publicKey.export({ type: 'spki', format: 'der' });
    const tlsa = createHash('sha256').update(key).digest('hex');
    loopback('add');
    tree = await DnsTree.start({
      zones: [
        { name: 'example', state: 'signed', records: [] },
        {
          name: 'signed.example',
          state: 'signed',
          records: ['first', 'drain', 'last'].flatMap((name) => domain(name, tlsa)),
        },
      ],
      address: ROOT,
      aliases: OTHER_ROOTS,
      dead: '192.0.2.7',
      resolver: [],
    });
    hop = await Hop.start({ port: 25, host: NODE, pair: { ...pair, serial: '' } });
    installOperator();
    makeNamespace(NAMESPACE);
    apply(manifest(loadResolverImage(containerd, tree.anchor)));
    waitReady(NAMESPACE);
  });

  after(async () => {
    kubectl(['delete', 'mailrelay', 'relay', '-n', NAMESPACE, '--ignore-not-found', '--wait=false']);
    await hop?.down();
    await tree?.stop();
    loopback('del');
  });

  test('mail goes out over a connection that DANE proves, and names of the cluster are known too', async () => {
    const inside = `b@hop.${NAMESPACE}.svc.cluster.local`;
    await send('first', 'b@first.signed.example');
    await send('inside', inside);
    await until('the delivery', () => linesAbout('b@first.signed.example').some(isProven));
    await until('the delivery inside the cluster', () => hop.ids().includes('inside'));
    assert.match(linesAbout(inside).join(), /"event":"delivered".*"verified":false/);
    assert.equal(relayOf(NAMESPACE).status.notInForce, undefined);
  });

  test('a pod that is told to end still finds its hosts, because the resolver ends after the relay', async () => {
    const address = addressOf();
    ended = podsOf(NAMESPACE)[0]?.uid;
    // As long as a session is open the drain goes on.
    const client = await SmtpClient.connect(10_025, address);
    await client.hello();
    kubectl(['delete', 'pod', 'relay-0', '-n', NAMESPACE, '--wait=false']);
    const isStopping = async () => (await podStatus(address)).notReady.join().includes('stopping');
    await until('the relay to stop', isStopping);
    // Nobody has asked for this name before.
    const to = 'b@drain.signed.example';
    assert.match(await client.send('a@client.example', [to], messageText('drain')), /^250/);
    await until('the delivery', () => linesAbout(to).some(isProven));
    await client.quit();
  });

  test('in full: scaled in with mail, the pod goes when its mail has gone by DANE', {
    skip: !SOAK,
  }, async () => {
    const isAnother = () => podsOf(NAMESPACE).some(({ uid, ip }) => uid !== ended && ip !== '');
    await until('another pod', isAnother, 60_000);
    waitReady(NAMESPACE);
    await hop.down();
    await send('last', 'b@last.signed.example');
    kubectl(['scale', 'mr/relay', '-n', NAMESPACE, '--replicas=0']);
    await statusUntil('the reason', NAMESPACE, (relay) =>
      ['ScalingIn', 'ScaleInWaits'].includes(conditionOf(relay, 'Reconciling')?.reason ?? ''),
    );
    await until('the first try', () => linesAbout('last.signed.example').length > 0);
    await hop.up();
    const { status } = get<{ status: { initContainerStatuses: { name: string; ready: boolean }[] } }>(
      'pod',
      'relay-0',
      NAMESPACE,
    );
    assert.deepEqual(
      status.initContainerStatuses.map(({ name, ready }) => [name, ready]),
      [['resolver', true]],
    );
    retryAll(NAMESPACE, 'relay-0');
    await until('the delivery', () => hop.ids().includes('last'), 60_000);
    assert.ok(hop.taken.find(({ text }) => text.includes('X-Test-Id: last'))?.tls);
    await until('no pod', () => podsOf(NAMESPACE).length === 0, 60_000);
  });
});
