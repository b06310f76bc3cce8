/**
 * Kubernetes identity as SMTP identity: a workload logs in at a relay with its projected ServiceAccount token, and no
 * password is anywhere. The relay gets the keys of the cluster by discovery, with the right that the example names and
 * not without it. What was sent is then looked at by the command inside the pod. The steps run in order.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import {
  apply,
  installOperator,
  kubectl,
  makeNamespace,
  podsOf,
  prepared,
  secretText,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'logins';
const HOSTNAME = 'relay.example.com';
const EXAMPLE = new URL('../../examples/serviceaccount.yaml', import.meta.url);

describe('a ServiceAccount as a login', { concurrency: false }, () => {
  before(() => {
    installOperator();
    makeNamespace(NAMESPACE);
    kubectl(['create', 'serviceaccount', 'mailer', '-n', NAMESPACE]);
    kubectl(['create', 'serviceaccount', 'other', '-n', NAMESPACE]);
    const { issuer } = JSON.parse(kubectl(['get', '--raw', '/.well-known/openid-configuration'])) as {
      issuer: string;
    };
    apply(manifest(issuer));
    waitReady(NAMESPACE);
  });

  after(() => {
    kubectl(['delete', '-f', '-', '--ignore-not-found'], JSON.stringify(rightOfTheExample()));
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  test('without the right to discover the keys, a login is put off and nobody is let in', async () => {
    assert.match(await logIn(tokenOf('mailer', 'smtp')), /^454 4\.7\.0/);
  });

  test('with the right of the example, it is taken: for its audience and its subject alone', async () => {
    apply(JSON.stringify(rightOfTheExample()));
    assert.match(await logIn(tokenOf('mailer', 'smtp')), /^235 /);
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
      '--timeout=90s',
    ]);
    assert.match(kubectl(['logs', 'mailer', '-n', NAMESPACE]), /^250 2\.0\.0 Ok: queued as /);
  });

  test('the command in the pod shows the status and what is queued, and removes it', () => {
    const command = (...args: string[]) =>
      kubectl(['exec', '-n', NAMESPACE, 'relay-0', '--', 'mailrelay', ...args]);
    assert.match(command('status'), /^relay +\S+, ready\n(.*\n)*queue +1 message, 0 held/);
    const [entry] = JSON.parse(command('queue', 'list', '-o', 'json')) as { id: string; from: string }[];
    assert.equal(entry?.from, 'mailer@shop.example');
    assert.match(command('queue', 'export', entry.id), /with ESMTPSA id/);
    command('queue', 'remove', entry.id, '--yes');
    assert.match(command('queue', 'list'), /^There is nothing to show/);
  });
});

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
      oauth:
        issuer: ${issuer}
        audience: smtp
        subjects: ["system:serviceaccount:${NAMESPACE}:mailer"]
        trustConfigMapName: kube-root-ca.crt
  outbound:
    tls: {discover: []}
    smartHosts: [{host: ${prepared().nodeAddress}, port: 9}]
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

async function logIn(token: string): Promise<string> {
  const client = await SmtpClient.connect(10_587, podsOf(NAMESPACE)[0]?.ip);
  await client.hello();
  await client.secure({ ca: secretText(NAMESPACE, 'ca', 'tls.crt'), servername: HOSTNAME });
  const login = Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`).toString('base64');
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
