/** The operator in its own life: quiet at rest, restarted, upgraded and uninstalled, without touching what runs. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  helm,
  installOperator,
  kubectl,
  makeNamespace,
  OPERATOR_NAMESPACE,
  operatorWrites,
  podsOf,
  prepared,
  serviceAddress,
  statusUntil,
  waitReady,
} from './kube.ts';
import { command } from './supervise.ts';

const NAMESPACE = 'rest';
const HOP_PORT = 2529;

const MANIFEST = `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: smtp, port: 25}]
    acceptDomains: [example.com]
  outbound:
    tls: {discover: []}
    routes: [{recipientDomains: [example.com], hosts: [{host: ${prepared().nodeAddress}, port: ${HOP_PORT}}]}]
`;

const identities = () => podsOf(NAMESPACE).map(({ uid, restarts }) => `${uid} ${restarts}`);

/** Lets the operator come to rest: no write for three seconds. */
async function untilQuiet(): Promise<void> {
  await until('the operator to be quiet', () => operatorWrites(Date.now() - 3_000).length === 0, 60_000);
}

async function operatorPod(): Promise<string> {
  return until(
    'the operator to lead',
    () => {
      const names = kubectl([
        'get',
        'pods',
        '-n',
        OPERATOR_NAMESPACE,
        '--field-selector=status.phase=Running',
        '-o',
        'name',
      ]).split('\n');
      const [name = ''] = names;
      return names.length === 1 &&
        kubectl(['logs', name, '-n', OPERATOR_NAMESPACE]).includes('caches_complete')
        ? name
        : undefined;
    },
    60_000,
  );
}

describe('the operator', { concurrency: false }, () => {
  before(async () => {
    installOperator();
    makeNamespace(NAMESPACE);
    apply(MANIFEST);
    waitReady(NAMESPACE);
    await untilQuiet();
  });

  test('writes nothing but its Lease when the same manifest is applied again, and when it restarts', {
    skip: prepared().auditLog === '' && 'needs the audit log',
  }, async () => {
    const before = identities();
    const since = Date.now();
    apply(MANIFEST);
    const old = await operatorPod();
    kubectl(['delete', old, '-n', OPERATOR_NAMESPACE]);
    const fresh = await operatorPod();
    assert.notEqual(fresh, old);
    // A few looks of every part: polls of the pods, resyncs, the Lease.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    // Another relay may report the figures of its last mail up to a minute later.
    const writes = operatorWrites(since).filter((write) => write.includes(`/namespaces/${NAMESPACE}/`));
    assert.deepEqual(writes, []);
    assert.deepEqual(identities(), before);
  });

  test('with the API server out of reach it says so once, mail flows, and it is right again by itself', {
    skip: prepared().auditLog === '' && 'cuts the network of its own cluster',
  }, async (context) => {
    const sink = await Sink.start({ port: HOP_PORT, host: prepared().nodeAddress });
    context.after(() => sink.down());
    const before = identities();
    const pod = await operatorPod();
    const rule = [
      'INPUT',
      '-s',
      '10.78.0.0/16',
      '-p',
      'tcp',
      '--dport',
      '6443',
      '-j',
      'REJECT',
      '--reject-with',
      'tcp-reset',
    ];
    command('iptables', ['-I', ...rule]);
    try {
      const said = () => kubectl(['logs', pod, '-n', OPERATOR_NAMESPACE]).split('api_server_away').length - 1;
      await until('the operator to say so', () => said() > 0);
      // Its Lease is renewed, and its watches are taken up again: all of that fails meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      assert.equal(said(), 1);
      const client = await SmtpClient.connect(25, serviceAddress(NAMESPACE));
      await client.hello();
      await client.send('a@client.example', ['b@example.com'], messageText('meanwhile'));
      await client.quit();
      await until('the message', () => sink.counts().get('meanwhile') === 1);
      kubectl([
        'patch',
        'mailrelay',
        'relay',
        '-n',
        NAMESPACE,
        '--type=merge',
        '-p',
        '{"spec":{"inbound":{"starttls":"Required"}}}',
      ]);
    } finally {
      command('iptables', ['-D', ...rule]);
    }
    await statusUntil('the change that was missed', NAMESPACE, ({ metadata, status }) => {
      const applied = status.conditions.find(({ type }) => type === 'PolicyApplied');
      return applied?.status === 'True' && applied.observedGeneration === metadata.generation;
    });
    assert.deepEqual(identities(), before);
    apply(MANIFEST.replace('  inbound:', '  inbound:\n    starttls: Enabled'));
    await untilQuiet();
  });

  test('helm test sends a message through a relay of its own, with STARTTLS, and leaves nothing behind', () => {
    helm(['test', 'mailrelay', '--namespace', OPERATOR_NAMESPACE, '--timeout', '240s']);
    const said = kubectl(['logs', 'mailrelay-test', '-n', OPERATOR_NAMESPACE]);
    assert.match(said, /^250 .*\nTLSv1\.3 /m);
    assert.match(said, /The message went through the relay to its next hop/);
    for (const kind of ['mailrelays', 'issuers', 'persistentvolumeclaims'])
      assert.equal(kubectl(['get', kind, '-n', OPERATOR_NAMESPACE, '-o', 'name']), '');
  });

  test('helm upgrade in namespaced mode narrows its rights to the namespaces that are named', async () => {
    installOperator(`watchNamespaces={${NAMESPACE}}`);
    const account = `system:serviceaccount:${OPERATOR_NAMESPACE}:mailrelay`;
    const may = (namespace: string) => {
      try {
        return (
          kubectl(['auth', 'can-i', 'patch', 'statefulsets.apps', '-n', namespace, '--as', account]) === 'yes'
        );
      } catch {
        return false;
      }
    };
    assert.equal(may(NAMESPACE), true);
    assert.equal(may('default'), false);
    kubectl(['scale', 'mr/relay', '-n', NAMESPACE, '--replicas=2']);
    await until('two pods', () => podsOf(NAMESPACE).length === 2, 60_000);
    installOperator('watchNamespaces=null');
  });

  test('helm uninstall leaves the CRD, the MailRelays and the running pods alone', async () => {
    await operatorPod();
    waitReady(NAMESPACE);
    const before = identities();
    helm(['uninstall', 'mailrelay', '--namespace', OPERATOR_NAMESPACE, '--wait']);
    assert.match(kubectl(['get', 'crd', 'mailrelays.mailrelay.dev', '-o', 'name']), /mailrelays/);
    assert.match(kubectl(['get', 'mr', '-n', NAMESPACE, '-o', 'name']), /mailrelay.mailrelay.dev\/relay/);
    assert.deepEqual(identities(), before);
  });

  test('installed again over the CRD that was kept, it takes everything up without a restart', async () => {
    const before = identities();
    installOperator();
    await operatorPod();
    await untilQuiet();
    assert.deepEqual(identities(), before);
    waitReady(NAMESPACE);
    kubectl(['delete', 'mailrelay', 'relay', '-n', NAMESPACE]);
  });
});
