/** Claims and ConfigMaps that somebody deletes or hides: no place with mail is given up, and no authority that is served goes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { listFingerprints } from '#crds/authoritiesfile.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import {
  apiPath,
  CLAIM,
  CONFIG_MAP,
  type Kind,
  MAIL_RELAY,
  POD,
  STATEFUL_SET,
} from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'places';
const MANAGED = 'app.kubernetes.io/managed-by';
const NEW = '-----BEGIN CERTIFICATE-----\nREPLACED\n-----END CERTIFICATE-----\n';
const STRANGER = { pod: 'x-0', uid: 'u', namespace: NAMESPACE, relay: 'x' };

describe('places that may have mail', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const path = (kind: Kind, name: string) => apiPath(kind, NAMESPACE, name);
  const get = <T = KubeObject>(kind: Kind, name: string) =>
    api.admin.request<T>({ method: 'GET', path: path(kind, name) });
  const isThere = (kind: Kind, name: string) =>
    get(kind, name).then(
      () => true,
      () => false,
    );
  const patch = (kind: Kind, name: string, metadata: object, spec?: object) =>
    api.admin.request({
      method: 'PATCH',
      path: path(kind, name),
      contentType: 'application/merge-patch+json',
      body: { metadata, ...(spec ? { spec } : {}) },
    });
  const remove = (kind: Kind, name: string) =>
    api.admin.request({ method: 'DELETE', path: path(kind, name), body: { gracePeriodSeconds: 0 } });
  const hide = async (kind: Kind, name: string) => {
    await patch(kind, name, { labels: { [MANAGED]: null } });
    const isBack = async () => (await get(kind, name)).metadata.labels?.[MANAGED] === 'mailrelay-operator';
    await until(`the label of ${name}`, isBack, 60_000);
  };
  const places = async () =>
    (await get<KubeObject & { spec: { replicas: number } }>(STATEFUL_SET, 'relay')).spec.replicas;
  const conditionOf = async (type: string) =>
    (await get<MailRelay>(MAIL_RELAY, 'relay')).status?.conditions?.find((one) => one.type === type);
  const tls = { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } };
  const want = (replicas: number) => putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas, tls }));
  /** Three pods, of which the last one does not answer. */
  const three = async () => {
    pods.answerAs(NAMESPACE, 'relay-2', undefined);
    await want(3);
    await until('the third pod', () => isThere(POD, 'relay-2'), 60_000);
    await whenSettled(api, NAMESPACE, 'relay');
    pods.answerAs(NAMESPACE, 'relay-2', STRANGER);
  };

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'places' });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    await want(2);
    await whenSettled(api, NAMESPACE, 'relay');
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('a claim of somebody else in a place that somebody makes by hand is told, and stays as it is', async () => {
    const name = 'spool-relay-2';
    const resources = { requests: { storage: '1Gi' } };
    const spec = { accessModes: ['ReadWriteOnce'], resources, volumeName: 'postgres-data' };
    const body = { metadata: { name, namespace: NAMESPACE, labels: { app: 'postgres' } }, spec };
    await api.admin.request({ method: 'POST', path: apiPath(CLAIM, NAMESPACE), body });
    const { uid } = (await get(CLAIM, name)).metadata;
    pods.answerAs(NAMESPACE, 'relay-2', STRANGER);
    // A place without a pod goes at once.
    operator.pause();
    await patch(STATEFUL_SET, 'relay', {}, { replicas: 3 });
    await until('the third pod', () => isThere(POD, 'relay-2'), 60_000);
    operator.resume();
    await until('it is told', async () => (await conditionOf('Stalled'))?.reason === 'NameTaken', 60_000);
    assert.match(
      String((await conditionOf('Stalled'))?.message),
      /spool-relay-2 bears no label of this relay/,
    );
    assert.equal(await places(), 3);
    pods.answerAs(NAMESPACE, 'relay-2', undefined);
    await until('the place to go', async () => (await places()) === 2, 60_000);
    await whenQuiet(api);
    const { metadata } = await get(CLAIM, name);
    assert.deepEqual([metadata.uid, metadata.labels], [uid, { app: 'postgres' }]);
    assert.deepEqual([metadata.annotations, metadata.deletionTimestamp], [undefined, undefined]);
    await remove(CLAIM, name);
    await whenSettled(api, NAMESPACE, 'relay');
  });

  test('a claim that is hidden while its pod is away keeps the place', async () => {
    await three();
    await want(2);
    await whenQuiet(api);
    await remove(POD, 'relay-2');
    await whenQuiet(api);
    await hide(CLAIM, 'spool-relay-2');
    await whenQuiet(api);
    assert.equal(await places(), 3);
  });

  test('so does one that is hidden while the StatefulSet and its pod are deleted and no operator runs', async () => {
    await three();
    await want(2);
    await whenQuiet(api);
    await operator.end('SIGTERM');
    await remove(STATEFUL_SET, 'relay');
    // It may be gone with its StatefulSet already.
    await remove(POD, 'relay-2').catch(() => undefined);
    await until('the end of the pod', async () => !(await isThere(POD, 'relay-2')), 60_000);
    await patch(CLAIM, 'spool-relay-2', { labels: { [MANAGED]: null } });
    operator = await Operator.start(api, { identity: 'places' });
    await operator.leads();
    await until('the StatefulSet', () => isThere(STATEFUL_SET, 'relay'), 60_000);
    await whenQuiet(api);
    assert.equal(await places(), 3);
    assert.equal((await get(CLAIM, 'spool-relay-2')).metadata.labels?.[MANAGED], 'mailrelay-operator');
  });

  test('a claim that somebody deletes keeps the place until its pod is empty, and that is told', async () => {
    await three();
    // As the cluster does it while a pod uses the claim.
    await patch(CLAIM, 'spool-relay-2', { finalizers: ['test.example/in-use'] });
    await remove(CLAIM, 'spool-relay-2');
    await until('it is told', async () => (await conditionOf('QueueHealthy'))?.reason === 'ClaimDeleted');
    await want(2);
    await whenQuiet(api);
    assert.equal(await places(), 3);
    assert.equal((await conditionOf('QueueHealthy'))?.reason, 'ClaimDeleted');
    await patch(CLAIM, 'spool-relay-2', { finalizers: null });
  });

  test('a claim whose volume somebody deletes is told while its pod runs', async () => {
    await three();
    const status = (phase: string) =>
      api.admin.request({
        method: 'PATCH',
        path: `${path(CLAIM, 'spool-relay-1')}/status`,
        contentType: 'application/merge-patch+json',
        body: { status: { phase } },
      });
    await status('Lost');
    await until('it is told', async () => (await conditionOf('QueueHealthy'))?.reason === 'ClaimLost');
    await status('Bound');
    await until('it is over', async () => (await conditionOf('QueueHealthy'))?.reason !== 'ClaimLost');
  });

  test('an authority that a silent pod may serve stays published, whoever hides the ConfigMap', async () => {
    const published = async () => {
      const { data } = await get<KubeObject & { data: Record<string, string> }>(CONFIG_MAP, 'relay-ca');
      return listFingerprints(data['ca.crt'] ?? '').toSorted();
    };
    pods.issueInside(`${NAMESPACE}/relay`, { authority: NEW, servedBy: [0] });
    await until('both authorities', async () => (await published()).length === 2, 60_000);
    const before = await published();
    pods.answerAs(NAMESPACE, 'relay-1', STRANGER);
    await whenQuiet(api);
    await hide(CONFIG_MAP, 'relay-ca');
    await whenQuiet(api);
    assert.deepEqual(await published(), before);
    pods.answerAs(NAMESPACE, 'relay-1', undefined);
  });
});
