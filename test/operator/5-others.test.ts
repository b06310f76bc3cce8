/**
 * Actions of others on a relay. If the backend of an admission webhook is down, the status has the message of the API
 * server, and the operator does not take the API server for away. Objects that lost their owner are adopted again
 * unchanged.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, MAIL_RELAY, OWNED, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';
import { listObjects } from './snapshot.ts';

const WEBHOOKS = 'validatingwebhookconfigurations';
const API_VERSION = 'admissionregistration.k8s.io/v1';

describe('what others do', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'others' });
    await operator.leads();
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('a webhook that is down is told once, the rest is made, and it goes on when the webhook is gone', async () => {
    const namespace = 'webhook';
    await api.makeNamespace(namespace);
    await api.put(await deadWebhook(namespace), WEBHOOKS);
    await until('it to be asked', () => isAsked(api, namespace));
    await putRelay(api, relayNamed(namespace, 'relay'));
    const relay = () => statusOf(api, namespace);
    const told = await until('it to be told', async () =>
      (await relay())?.conditions?.find(({ reason }) => reason === 'WriteFailed'),
    );
    assert.match(told.message, /StatefulSet\/relay.*failed calling webhook "down.example.com"/);
    assert.equal((await relay())?.conditions?.find(({ type }) => type === 'Ready')?.status, 'False');
    await api.admin.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}/services/relay` });
    const path = apiPath({ kind: '', apiVersion: API_VERSION, plural: WEBHOOKS }, undefined, 'down');
    await api.admin.request({ method: 'DELETE', path });
    await whenSettled(api, namespace, 'relay');
    const failures = operator.log.filter(({ event }) => event === 'reconcile_failed');
    assert.deepEqual(
      failures.map(({ relay: key }) => key),
      ['webhook/relay'],
    );
    assert.equal(operator.said('api_server_away'), undefined);
  });

  test('what is left of a MailRelay that was deleted alone is that of the next one of its name', async () => {
    const namespace = 'orphans';
    await api.makeNamespace(namespace);
    await putRelay(api, relayNamed(namespace, 'relay'));
    await whenSettled(api, namespace, 'relay');
    await whenQuiet(api);
    const before = await uidsOf(api, namespace);
    const path = apiPath(MAIL_RELAY, namespace, 'relay');
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Orphan' };
    await api.admin.request({ method: 'DELETE', path, body });
    // The garbage collector finds our kind up to half a minute after the CRD was created.
    await until('it to be gone', async () => (await statusOf(api, namespace)) === undefined, 180_000);
    await putRelay(api, relayNamed(namespace, 'relay'));
    await whenSettled(api, namespace, 'relay');
    assert.deepEqual(await uidsOf(api, namespace), before);
  });
});

/** An admission webhook for the StatefulSets of the namespace. No server listens at its address. */
async function deadWebhook(namespace: string): Promise<KubeObject> {
  const webhook = {
    name: 'down.example.com',
    clientConfig: { url: `https://127.0.0.1:${await freePort()}/` },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    rules: [
      {
        apiGroups: ['apps'],
        apiVersions: ['v1'],
        operations: ['CREATE', 'UPDATE'],
        resources: [STATEFUL_SET.plural],
      },
    ],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  };
  return {
    apiVersion: API_VERSION,
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'down' },
    webhooks: [webhook],
  };
}

/** The API server asks a webhook a moment after it was told of it. */
function isAsked(api: Plane, namespace: string): Promise<boolean> {
  const labels = { app: 'probe' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'probe', image: 'x' }] } };
  const spec = { serviceName: 'probe', selector: { matchLabels: labels }, template };
  return api.admin
    .request({
      method: 'POST',
      path: apiPath(STATEFUL_SET, namespace),
      query: { dryRun: 'All' },
      body: { metadata: { name: 'probe' }, spec },
    })
    .then(
      () => false,
      ({ message }: Error) => message.includes('failed calling webhook'),
    );
}

/** Undefined if there is no MailRelay. */
async function statusOf(api: Plane, namespace: string): Promise<MailRelayStatus | undefined> {
  const { items } = await api.admin.request<{ items: { status?: MailRelayStatus }[] }>({
    method: 'GET',
    path: apiPath(MAIL_RELAY, namespace),
  });
  return items[0] && (items[0].status ?? ({} as MailRelayStatus));
}

async function uidsOf(api: Plane, namespace: string): Promise<(string | undefined)[]> {
  const lists = await Promise.all(OWNED.map((kind) => listObjects(api, kind, namespace)));
  return lists.flat().map(({ metadata }) => metadata.uid);
}
