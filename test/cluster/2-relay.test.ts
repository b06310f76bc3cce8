/**
 * One MailRelay on a real cluster, as its users live with it: applied, changed and renewed; with a real Postfix as its
 * next hop. The steps build on each other and run in order. 5-deleted.test.ts tells how it goes and comes again.
 */
import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { streamOfConnections } from '#test/kit/stream.ts';
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
  renew,
  secretText,
  serviceAddress,
  statusUntil,
  waitReady,
} from './kube.ts';
import { greetingOf, handshakeSerial, isRequired } from './sessions.ts';

const NAMESPACE = 'story';
const HOSTNAME = 'relay.example.com';
const STORE_PORT = 2525;

interface Wish {
  readonly starttls?: string;
  readonly level?: string;
  readonly tls?: string;
  readonly name?: string;
}

function manifest({
  starttls = 'Enabled',
  level = 'Encrypt',
  tls = 'issuerRef: {name: ca}',
  name = 'relay',
}: Wish = {}): string {
  return `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: ${name}, namespace: ${NAMESPACE}}
spec:
  hostname: ${HOSTNAME}
  replicas: 2
  tls: {${tls}}
  inbound:
    starttls: ${starttls}
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound:
    tls: {discover: []}
    smartHosts: [{host: ${prepared().nodeAddress}, port: ${STORE_PORT}, tls: {level: ${level}}}]
`;
}

let store: Postfix;
let issuingCa = '';

async function startStore(): Promise<Postfix> {
  const authority = await makeAuthority();
  const pair = await authority.issue(['store.example.com']);
  return Postfix.start({ address: prepared().nodeAddress, port: STORE_PORT, pair, level: 'encrypt' });
}

/** Sends with STARTTLS, chain and host name verified. */
async function sendSecurely(id: string, host: string): Promise<string> {
  const client = await SmtpClient.connect(25, host);
  await client.hello();
  await client.secure({ ca: issuingCa, servername: HOSTNAME });
  const reply = await client.send('a@client.example', ['b@example.com'], messageText(id));
  await client.quit();
  return reply;
}

async function servedSerials(): Promise<string[]> {
  const statuses = await Promise.all(podsOf(NAMESPACE).map(({ ip }) => podStatus(ip)));
  return statuses.map(({ certificate }) => certificate?.serial ?? 'none');
}

async function taskStarts() {
  return Promise.all(podsOf(NAMESPACE).map(async ({ ip }) => (await podStatus(ip)).tasks));
}

const identities = () => podsOf(NAMESPACE).map(({ uid, restarts }) => `${uid} ${restarts}`);

/** Five seconds, on a machine that has the processors for what runs on it; more in proportion where it has not. */
function promisedMs(): number {
  const [perMinute = 0] = loadavg();
  return 5_000 * Math.max(1, perMinute / availableParallelism());
}

describe('a MailRelay on a cluster', { concurrency: false }, () => {
  before(async () => {
    assert.equal(postfixProblem(), undefined);
    installOperator();
    makeNamespace(NAMESPACE);
    issuingCa = secretText(NAMESPACE, 'ca', 'tls.crt');
    store = await startStore();
  });

  after(() => {
    store?.stop();
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE, '--wait=false']);
  });

  test('applied with an issuer in a restricted namespace, it becomes Ready with a certificate from cert-manager', async () => {
    apply(manifest());
    waitReady(NAMESPACE);
    const relay = relayOf(NAMESPACE);
    assert.equal(conditionOf(relay, 'CertificateReady')?.status, 'True');
    assert.equal(relay.status.certificate?.podsServing, 2);
    assert.equal(relay.status.policy.podsServing, 2);
    assert.equal(podsOf(NAMESPACE).length, 2);
    // The Service is kube-proxy's: it may take a moment to learn of the pods.
    await until('the Service to reach a pod', () => greetingOf(serviceAddress(NAMESPACE), 25), 60_000);
  });

  test('a verified STARTTLS message arrives at a real Postfix over STARTTLS', async () => {
    assert.match(await sendSecurely('first', serviceAddress(NAMESPACE)), /^250 2\.0\.0 Ok: queued as /);
    const arrived = await store.message('first');
    assert.match(arrived, /by store\.example\.com \(Postfix\) with ESMTPS/);
    assert.match(arrived, /by relay\.example\.com \(mailrelay\) with ESMTPS id \w+\s+\(using TLSv1\.3/);
  });

  test('the Secret is never readable to the operator, and its key is in no object', () => {
    const account = 'system:serviceaccount:mailrelay-system:mailrelay';
    for (const verb of ['get', 'list', 'watch']) {
      assert.throws(
        () => kubectl(['auth', 'can-i', verb, 'secrets', '-n', NAMESPACE, '--as', account]),
        verb,
      );
    }
  });

  test('Enabled to Required is in force on every pod within 5 s, and disturbs nobody', async () => {
    const before = { identities: identities(), starts: await taskStarts() };
    const service = serviceAddress(NAMESPACE);
    const pods = podsOf(NAMESPACE);
    const inTransaction = await SmtpClient.connect(25, service);
    await inTransaction.hello();
    assert.match(await inTransaction.command('MAIL FROM:<a@client.example>'), /^250/);
    const underTls = await SmtpClient.connect(25, service);
    await underTls.hello();
    await underTls.secure({ ca: issuingCa, servername: HOSTNAME });
    const stream = await streamOfConnections(25, { host: service, pauseMs: 20 });

    const appliedAt = Date.now();
    apply(manifest({ starttls: 'Required' }));
    for (const { ip } of pods) await until('530 for a new session', () => isRequired(ip), 60_000);
    const took = Date.now() - appliedAt;

    assert.ok(took <= promisedMs(), `it took ${took} ms`);
    // Both old sessions run under the old policy to their end.
    assert.match(await inTransaction.command('RCPT TO:<b@example.com>'), /^250/);
    assert.match(await inTransaction.command('DATA'), /^354/);
    assert.match(await inTransaction.command(`${messageText('in-transaction')}\r\n.`), /^250/);
    assert.match(
      await underTls.send('a@client.example', ['b@example.com'], messageText('under-tls')),
      /^250/,
    );
    const told = await statusUntil(
      'the status to tell',
      NAMESPACE,
      (relay) =>
        relay.status.policy.podsServing === 2 && conditionOf(relay, 'PolicyApplied')?.status === 'True',
    );
    assert.equal(conditionOf(told, 'Ready')?.status, 'True');
    await inTransaction.quit();
    await underTls.quit();

    const { connections, failures } = await stream.stop();
    assert.deepEqual(failures, []);
    assert.ok(connections > 20, `only ${connections} connections were made`);
    assert.deepEqual(identities(), before.identities);
    const starts = await taskStarts();
    assert.deepEqual(
      starts.map(({ routerStarts }) => routerStarts),
      before.starts.map(({ routerStarts }) => routerStarts),
    );
    assert.deepEqual(
      starts.map(({ listenerStarts }) => listenerStarts),
      before.starts.map(({ listenerStarts }) => listenerStarts + 1),
    );
    assert.ok(
      await until('the event', () =>
        eventsOf(NAMESPACE, 'PolicyChanged').some((note) => note.includes(told.status.policy.hash)),
      ),
    );
    for (const id of ['in-transaction', 'under-tls']) await store.message(id);
  });

  test('the sessions of an old policy are counted in the status until they end', async () => {
    const client = await SmtpClient.connect(25, serviceAddress(NAMESPACE));
    await client.hello();
    apply(manifest({ starttls: 'Enabled' }));
    await statusUntil(
      'one old session',
      NAMESPACE,
      (relay) => relay.status.policy.podsServing === 2 && relay.status.policy.oldSessions === 1,
    );
    await client.quit();
    await statusUntil('no old session', NAMESPACE, (relay) => relay.status.policy.oldSessions === 0);
  });

  test('back to Disabled, STARTTLS is no longer offered', async () => {
    apply(manifest({ starttls: 'Disabled' }));
    for (const { ip } of podsOf(NAMESPACE)) {
      await until('no STARTTLS', async () => !(await greetingOf(ip)).includes('STARTTLS'));
    }
    apply(manifest());
    for (const { ip } of podsOf(NAMESPACE)) {
      await until('STARTTLS', async () => (await greetingOf(ip)).includes('STARTTLS'));
    }
    waitReady(NAMESPACE);
  });

  test('a change of the outbound policy restarts the router task only', async () => {
    const before = await taskStarts();
    const pods = identities();
    apply(manifest({ level: 'Opportunistic' }));
    await until('new routers', async () => {
      const starts = await taskStarts();
      return starts.every(
        ({ routerStarts }, index) => routerStarts === (before[index]?.routerStarts ?? 0) + 1,
      );
    });
    const starts = await taskStarts();
    assert.deepEqual(
      starts.map(({ listenerStarts }) => listenerStarts),
      before.map(({ listenerStarts }) => listenerStarts),
    );
    assert.deepEqual(identities(), pods);
    await sendSecurely('after-outbound', serviceAddress(NAMESPACE));
    await store.message('after-outbound');
  });

  test('a renewed certificate is served by every pod with no restart of anything', async () => {
    const before = { serials: await servedSerials(), starts: await taskStarts(), pods: identities() };
    renew(NAMESPACE, 'relay');
    await until(
      'a new serial on every pod',
      async () => {
        const serials = await servedSerials();
        return new Set(serials).size === 1 && serials[0] !== before.serials[0];
      },
      60_000,
    );
    const [serial = ''] = await servedSerials();
    const relay = await statusUntil(
      'the status to tell',
      NAMESPACE,
      // It sent in plain text while the policy changed. A pod tells such figures up to a minute later.
      ({ status }) =>
        status.certificate?.serial === serial &&
        status.certificate.podsServing === 2 &&
        (status.plaintextClients ?? 0) > 0,
      120_000,
    );
    const certificate = get<{ status: { notAfter: string } }>('certificate', 'relay', NAMESPACE);
    assert.equal(relay.status.certificate?.notAfter, certificate.status.notAfter);
    for (const { ip } of podsOf(NAMESPACE)) assert.equal(await handshakeSerial(ip), serial);
    assert.deepEqual(await taskStarts(), before.starts);
    assert.deepEqual(identities(), before.pods);
  });

  test('the same manifest again changes nothing', async () => {
    const before = { generation: relayOf(NAMESPACE).metadata.generation, starts: await taskStarts() };
    const said = kubectl(['apply', '-f', '-'], manifest({ level: 'Opportunistic' }));
    assert.match(said, / unchanged$/);
    assert.equal(relayOf(NAMESPACE).metadata.generation, before.generation);
    assert.deepEqual(await taskStarts(), before.starts);
  });
});
