/**
 * The MTA-STS policy of a relay on a real cluster: cert-manager issues the certificate, the pods serve the policy behind
 * the Service, and the MTA-STS client of the relay fetches it. The steps build on each other and run in order.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { policyHostName } from '#crds/effectivedns.ts';
import { fetchPolicy } from '#relay/mtasts/fetch.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  installOperator,
  kubectl,
  makeNamespace,
  podsOf,
  type RelayObject,
  relayOf,
  secretText,
  serviceAddress,
  statusUntil,
  waitReady,
} from './kube.ts';

const NAMESPACE = 'policyhost';
const DOMAINS = ['first.example', 'second.example'];

const manifest = (mode: 'Testing' | 'Enforce') => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: ${NAMESPACE}}
spec:
  hostname: relay.example.com
  replicas: 2
  tls: {issuerRef: {name: ca}}
  inbound:
    listeners: [{name: smtp, port: 25}]
    acceptDomains: [${DOMAINS}]
  outbound: {routes: [{recipientDomains: [${DOMAINS}], hosts: [{host: store.${NAMESPACE}.svc}]}]}
  dns: {mtaSTS: {mode: ${mode}, serve: {issuerRef: {name: ca}}}}
`;

/** What a sender gets that looks up the policy host of the domain. */
async function policyOf(domain: string) {
  const fetched = await fetchPolicy(domain, {
    lookUp: async () => [serviceAddress(NAMESPACE, 'relay')],
    context: createSecureContext({ ca: [secretText(NAMESPACE, 'ca', 'tls.crt')] }),
    signal: AbortSignal.timeout(10_000),
  });
  return fetched.kind === 'policy' ? fetched.policy : fetched.failure.text;
}

async function assertMode(mode: string, domain: string): Promise<void> {
  const policy = { mode, mxPatterns: ['relay.example.com'], maxAgeSeconds: 2_592_000 };
  assert.deepEqual(await policyOf(domain), policy);
}

/** The texts by which DNS tells senders which policy is in force, one for each domain. */
const announced = ({ status }: RelayObject) =>
  (status.dnsRecords ?? []).flatMap(({ name, values }) => (name.startsWith('_mta-sts.') ? values : []));

describe('the policy host', { concurrency: false }, () => {
  before(() => {
    installOperator();
    makeNamespace(NAMESPACE);
    apply(manifest('Testing'));
    waitReady(NAMESPACE);
  });

  after(() => {
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE]);
  });

  test('senders fetch the policy of each domain at port 443 of the Service, and the records say so', async () => {
    await until(
      'the Service to reach a pod',
      async () => typeof (await policyOf('first.example')) === 'object',
    );
    for (const domain of DOMAINS) await assertMode('testing', domain);
    const relay = await statusUntil('the records', NAMESPACE, (one) => announced(one).length === 2);
    const aliases = relay.status.dnsRecords?.filter(({ type }) => type === 'CNAME').map(({ name }) => name);
    assert.deepEqual(aliases, DOMAINS.map(policyHostName));
  });

  test('another mode has another id once every pod serves it, and no pod is replaced', async () => {
    const [before, pods] = [announced(relayOf(NAMESPACE)), podsOf(NAMESPACE)];
    apply(manifest('Enforce'));
    const isNew = (one: RelayObject) => announced(one).filter((text) => !before.includes(text)).length === 2;
    await statusUntil('the new ids', NAMESPACE, isNew);
    for (let fetch = 0; fetch < 8; fetch++) await assertMode('enforce', 'second.example');
    assert.deepEqual(podsOf(NAMESPACE), pods);
  });
});
