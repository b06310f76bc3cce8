/**
 * Kubernetes identity as SMTP identity: a workload logs in at a relay with its projected ServiceAccount token, and no
 * password is anywhere. The relay gets the keys of the cluster by discovery, with the right that the example names and
 * not without it. What was sent is then looked at by the command inside the pod; and what else a spec names (users, a
 * login for the next hop, a key that signs, authorities) works in a pod too. The steps run in order.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { hashPassword } from '#crds/passwordhash.ts';
import { DEFAULT_ITERATIONS } from '#crds/storedpassword.ts';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
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
  secretText,
  statusUntil,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'logins';
const HOSTNAME = 'relay.example.com';
const HOP_PORT = 2528;
const HOP_NAME = 'store.example.com';
const EXAMPLE = new URL('../../examples/serviceaccount.yaml', import.meta.url);

const base64 = (text: string) => Buffer.from(text).toString('base64');
const RIGHT_LOGIN = base64('\0relay\0swordfish');

let hop: Hop;

describe('a ServiceAccount as a login', { concurrency: false }, () => {
  before(async () => {
    const authority = await makeAuthority();
    hop = await Hop.start({
      port: HOP_PORT,
      host: prepared().nodeAddress,
      pair: await authority.issue([HOP_NAME]),
      offers: ['AUTH PLAIN'],
      answer: ({ step, line }) =>
        step === 'AUTH' && line !== `AUTH PLAIN ${RIGHT_LOGIN}` ? '535 5.7.8 no' : undefined,
    });
    installOperator();
    makeNamespace(NAMESPACE);
    kubectl(['create', 'serviceaccount', 'mailer', '-n', NAMESPACE]);
    kubectl(['create', 'serviceaccount', 'other', '-n', NAMESPACE]);
    const { issuer } = JSON.parse(kubectl(['get', '--raw', '/.well-known/openid-configuration'])) as {
      issuer: string;
    };
    for (const object of await named(authority)) apply(JSON.stringify(object));
    apply(manifest(issuer));
    apply(CUT_THROUGH);
    waitReady(NAMESPACE);
  });

  after(async () => {
    await hop?.down();
    kubectl(['delete', '-f', '-', '--ignore-not-found'], JSON.stringify(rightOfTheExample()));
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  test('without the right to discover the keys, a login is put off and nobody is let in', async () => {
    assert.match(await logIn(tokenOf('mailer', 'smtp')), /^454 4\.7\.0/);
  });

  test('with the right of the example, it is taken: for its audience and its subject alone', async () => {
    apply(JSON.stringify(rightOfTheExample()));
    // The API server heeds a new right a moment later.
    await until('it', async () => (await logIn(tokenOf('mailer', 'smtp'))).startsWith('235 '));
    assert.match(await logIn(tokenOf('mailer', 'other-audience')), /^535 5\.7\.8/);
    assert.match(await logIn(tokenOf('other', 'smtp')), /^535 5\.7\.8/);
  });

  test('a workload sends with the token that its kubelet writes', () => {
    apply(JSON.stringify(workload()));
    kubectl([
      'wait',
      'pod/mailer',
      '-n',
      NAMESPACE,
      '--for=jsonpath={.status.phase}=Succeeded',
      '--timeout=180s',
    ]);
    assert.match(kubectl(['logs', 'mailer', '-n', NAMESPACE]), /^250 2\.0\.0 Ok: queued as /);
  });

  test('the command in the pod shows the status and what is queued, and removes it', async () => {
    const command = (...args: string[]) =>
      kubectl(['exec', '-n', NAMESPACE, 'relay-0', '--', 'mailrelay', ...args]);
    assert.match(command('status'), /^relay +\S+, ready\n(.*\n)*queue +1 message, 0 held/);
    const [entry] = JSON.parse(command('queue', 'list', '-o', 'json')) as { id: string; from: string }[];
    assert.equal(entry?.from, 'mailer@shop.example');
    assert.match(command('queue', 'export', entry.id), /with ESMTPSA id/);
    // Not while the next hop is being asked.
    await until('its removal', () => command('queue', 'remove', entry.id, '--yes') !== undefined, 60_000);
    assert.match(command('queue', 'list'), /^There is nothing to show/);
  });

  test('a user of a Secret sends; the next hop refuses our login, and the status says so beside what else it doubts', async () => {
    const client = await connected();
    assert.match(await client.command(`AUTH PLAIN ${base64('\0alice\0open sesame')}`), /^235 /);
    const text = messageText('signed').replace('a@client.example', 'alice@shop.example');
    assert.match(await client.send('alice@shop.example', ['b@example.com'], text), /^250/);
    await client.quit();
    const { ip = '' } = podsOf(NAMESPACE)[0] ?? {};
    await until('the refusal', async () => (await podStatus(ip)).queue.loginsRefused.length > 0);
    // A change of the policy is told at once, and the figures with it.
    patch({
      service: { type: 'NodePort', externalTrafficPolicy: 'Cluster' },
      inbound: { clientPolicies: [{ networks: ['192.0.2.0/24'], minVersion: 'TLSv1.3' }] },
    });
    const told = await statusUntil('both reasons', NAMESPACE, (relay) => {
      const reasonOf = (type: string) => conditionOf(relay, type)?.reason;
      return (
        reasonOf('QueueHealthy') === 'LoginRefused' && reasonOf('ConfigurationSound') === 'AddressMayBeNode'
      );
    });
    assert.deepEqual(told.status.clientPolicies, ['192.0.2.0/24: minVersion TLSv1.3']);
    assert.deepEqual(hop.ids(), []);
  });

  test('with the right login in the Secret it goes out, to a hop that a ConfigMap vouches for, signed by a Secret', async () => {
    apply(JSON.stringify(secret('hop-login', { username: 'relay', password: 'swordfish' })));
    // What a kubelet mounts is refreshed when the policy changes, and by itself once a minute.
    patch({ service: null, inbound: { clientPolicies: null } });
    const [taken] = await until('the message', () => hop.taken.length > 0 && hop.taken, 120_000);
    assert.deepEqual([hop.ids(), taken?.tls], [['signed'], 'TLSv1.3']);
    const [signature = ''] = /^DKIM-Signature:.*(?:\r\n[ \t].*)*/m.exec(taken?.text ?? '') ?? [];
    assert.match(signature, /\bd=shop\.example;/);
    assert.match(signature, /\bs=pod;/);
  });

  test('a pod that keeps nothing passes a message on, and has no claim', async () => {
    waitReady(NAMESPACE, 'through');
    const client = await SmtpClient.connect(10_025, podsOf(NAMESPACE, 'through')[0]?.ip);
    await client.hello();
    const reply = await client.send('a@client.example', ['b@example.com'], messageText('through'));
    assert.match(reply, /^250 2\.0\.0 Ok: delivered as /);
    await client.quit();
    assert.ok(hop.ids().includes('through'));
    assert.equal(
      kubectl(['get', 'pvc', '-n', NAMESPACE, '-o', 'name']),
      'persistentvolumeclaim/spool-relay-0',
    );
  });
});

/** What the spec names; the login is wrong at first. */
async function named(authority: Authority): Promise<unknown[]> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const metadata = { name: 'hop-authority', namespace: NAMESPACE };
  return [
    secret('users', { alice: await hashPassword('open sesame', DEFAULT_ITERATIONS) }),
    secret('hop-login', { username: 'relay', password: 'wrong' }),
    secret('dkim', { 'private.key': String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': authority.cert } },
  ];
}

function secret(name: string, stringData: Readonly<Record<string, string>>): unknown {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE }, stringData };
}

function patch(spec: unknown): void {
  kubectl(['patch', 'mr', 'relay', '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec })]);
}

const vouched = `{level: Verify, serverName: ${HOP_NAME}, trustConfigMapName: hop-authority}`;
const CUT_THROUGH = `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: through, namespace: ${NAMESPACE}}
spec:
  hostname: ${HOSTNAME}
  queue: {mode: CutThrough}
  inbound:
    starttls: Disabled
    listeners: [{name: smtp, port: 25}]
    clients: {networks: [10.0.0.0/8]}
  outbound:
    tls: {discover: []}
    smartHosts: [{host: ${prepared().nodeAddress}, port: ${HOP_PORT}, tls: ${vouched}}]
`;

function manifest(issuer: string): string {
  return `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: ${HOSTNAME}
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: submission, port: 587, starttls: Required, auth: Required}]
    clients:
      credentialsSecretName: users
      oauth:
        issuer: ${issuer}
        audience: smtp
        subjects: ["system:serviceaccount:${NAMESPACE}:mailer"]
        trustConfigMapName: kube-root-ca.crt
  outbound:
    tls: {discover: []}
    dkim: [{domain: shop.example, selector: pod, secretName: dkim}]
    smartHosts:
      - {host: ${prepared().nodeAddress}, port: ${HOP_PORT}, credentialsSecretName: hop-login, tls: ${vouched}}
`;
}

function rightOfTheExample(): unknown {
  const documents = parseAllDocuments(readFileSync(EXAMPLE, 'utf8')).map(
    (document) => document.toJS() as { kind: string },
  );
  return documents.find(({ kind }) => kind === 'ClusterRoleBinding');
}

/** What the kubelet would ask for. */
function tokenOf(account: string, audience: string): string {
  return kubectl(['create', 'token', account, '-n', NAMESPACE, '--audience', audience]);
}

async function connected(): Promise<SmtpClient> {
  const client = await SmtpClient.connect(10_587, podsOf(NAMESPACE)[0]?.ip);
  await client.hello();
  await client.secure({ ca: secretText(NAMESPACE, 'ca', 'tls.crt'), servername: HOSTNAME });
  return client;
}

async function logIn(token: string): Promise<string> {
  const client = await connected();
  const login = base64(`n,,\x01auth=Bearer ${token}\x01\x01`);
  const said = await client.command(`AUTH OAUTHBEARER ${login}`);
  // A refused token is explained by a challenge first (RFC 7628 section 3.2.3).
  const last = said.startsWith('334') ? await client.command('AQ==') : said;
  await client.quit();
  return last;
}

const SEND = `
const { createTransport } = await import('nodemailer');
const { readFileSync } = await import('node:fs');
const accessToken = readFileSync('/var/run/secrets/smtp/token', 'utf8');
const transport = createTransport({
  host: 'relay', port: 587, requireTLS: true, tls: { servername: '${HOSTNAME}' },
  auth: { type: 'OAuth2', user: 'mailer', accessToken },
});
const message = { from: 'mailer@shop.example', to: 'b@example.com', subject: 'x', text: 'No password anywhere.' };
console.log((await transport.sendMail(message)).response);
`;

function workload() {
  const { repository, tag } = prepared().image;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'mailer', namespace: NAMESPACE },
    spec: {
      serviceAccountName: 'mailer',
      automountServiceAccountToken: false,
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'mailer',
          image: `${repository}:${tag}`,
          imagePullPolicy: 'Never',
          command: ['node', '--input-type=module', '-e', SEND],
          env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/var/run/secrets/ca/tls.crt' }],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          volumeMounts: [
            { name: 'token', mountPath: '/var/run/secrets/smtp', readOnly: true },
            { name: 'ca', mountPath: '/var/run/secrets/ca', readOnly: true },
          ],
        },
      ],
      volumes: [
        {
          name: 'token',
          projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'smtp' } }] },
        },
        { name: 'ca', secret: { secretName: 'ca', items: [{ key: 'tls.crt', path: 'tls.crt' }] } },
      ],
    },
  };
}
