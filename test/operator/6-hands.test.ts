/**
 * What a person changes by hand on the objects of a relay: each change of a field that the operator applies is taken back,
 * and what the operator cannot take back is told. What others add beside that stays, as a mesh or a cloud may need it: a
 * further port or an external address of a Service, an annotation, a container. So does maxUnavailable of a StatefulSet.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { POLICY_FILE_NAME } from '#crds/policyfile.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { pickContent } from '#operator/answers.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, CLAIM, MAIL_RELAY, OWNED, POD } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'hands';
const NAMES: Readonly<Record<string, readonly string[]>> = {
  ServiceAccount: ['relay'],
  ConfigMap: ['relay-policy'],
  NetworkPolicy: ['relay'],
  PodDisruptionBudget: ['relay'],
  Service: ['relay', 'relay-pods'],
  StatefulSet: ['relay'],
};
const ANNOTATIONS = { 'mailrelay.dev/applied': null, 'mailrelay.dev/installation': null };
const matchLabels = { 'app.kubernetes.io/name': 'other', more: 'x' };
/** Of every object that the operator makes. */
const OF_ALL: Readonly<Record<string, object>> = {
  'its owner': { metadata: { ownerReferences: null } },
  'its annotations': { metadata: { annotations: ANNOTATIONS } },
  'its applied hash': { metadata: { annotations: { 'mailrelay.dev/applied': 'another' } } },
};
const OF_KIND: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  ServiceAccount: { 'its token': { automountServiceAccountToken: true } },
  ConfigMap: { 'no policy': { data: { [POLICY_FILE_NAME]: null } }, 'no data': { data: null } },
  NetworkPolicy: {
    'its pods': { spec: { podSelector: { matchLabels } } },
    'more pods': { spec: { podSelector: { matchLabels: { more: 'x' } } } },
    'its rules': { spec: { ingress: [{}] } },
    'its types': { spec: { policyTypes: ['Ingress', 'Egress'] } },
  },
  PodDisruptionBudget: {
    'its pods': { spec: { selector: { matchLabels } } },
    'its number': { spec: { minAvailable: 7 } },
    'unhealthy pods': { spec: { unhealthyPodEvictionPolicy: 'IfHealthyBudget' } },
  },
  Service: {
    'its pods': { spec: { selector: { 'mailrelay.dev/serving': null, more: 'x' } } },
    'no pods': { spec: { selector: null } },
    'not ready': { spec: { publishNotReadyAddresses: true } },
    'the same node': { spec: { internalTrafficPolicy: 'Local' } },
  },
  StatefulSet: {
    'more pods': { spec: { replicas: 3 } },
    'no pods': { spec: { replicas: 0 } },
    'no updates': { spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } } },
    'updates of a part': { spec: { updateStrategy: { rollingUpdate: { partition: 5 } } } },
    'a long wait': { spec: { minReadySeconds: 86_400 } },
    'other numbers': { spec: { ordinals: { start: 5 } } },
    'its claims': {
      spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' } },
    },
    'its account': { spec: { template: { spec: { serviceAccountName: 'default' } } } },
    'a token': { spec: { template: { spec: { automountServiceAccountToken: true } } } },
  },
};

describe('changes by hand', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const get = (kind: typeof POD, name: string) =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
  const change = (kind: typeof POD, name: string, body: object, part = '') =>
    api.admin.request<KubeObject>({
      method: 'PATCH',
      path: `${apiPath(kind, NAMESPACE, name)}${part}`,
      contentType: 'application/merge-patch+json',
      body,
    });

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'hands' });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas: 2 }));
    await whenSettled(api, NAMESPACE, 'relay');
    await whenQuiet(api);
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  for (const kind of OWNED.filter((one) => one.kind in NAMES))
    for (const name of NAMES[kind.kind] ?? [])
      for (const [what, body] of Object.entries({ ...OF_ALL, ...OF_KIND[kind.kind] }))
        test(`${what} of ${kind.kind}/${name} comes back`, async () => {
          const before = pickContent(await get(kind, name));
          await change(kind, name, body);
          const isBack = async () => assert.deepEqual(pickContent(await get(kind, name)), before) ?? true;
          await until('it to be as before', isBack);
          await whenSettled(api, NAMESPACE, 'relay', 60_000);
        });

  test('the word on a pod that it takes no clients, its owner, and the labels of its claim come back', async () => {
    const wanted = pickContent(await get(POD, 'relay-0'));
    const claim = pickContent(await get(CLAIM, 'spool-relay-0'));
    for (const value of ['false', null]) {
      await change(POD, 'relay-0', { metadata: { labels: { 'mailrelay.dev/serving': value } } });
      await until(
        'the pod',
        async () => assert.deepEqual(pickContent(await get(POD, 'relay-0')), wanted) ?? true,
      );
    }
    await change(CLAIM, 'spool-relay-0', { metadata: { labels: { 'app.kubernetes.io/name': null } } });
    await until(
      'the claim',
      async () => assert.deepEqual(pickContent(await get(CLAIM, 'spool-relay-0')), claim) ?? true,
    );
  });

  test('a status that somebody wrote is written anew', async () => {
    const before = (await get(MAIL_RELAY, 'relay'))['status'] as MailRelayStatus;
    await change(MAIL_RELAY, 'relay', { status: { conditions: [], replicas: 7 } }, '/status');
    const isBack = async () => {
      const { conditions, replicas } = (await get(MAIL_RELAY, 'relay'))['status'] as MailRelayStatus;
      return replicas === before.replicas && conditions?.length === before.conditions?.length;
    };
    await until('the status', isBack);
  });

  test('a ConfigMap that somebody made immutable is told, with the cure', async () => {
    const [, map] = OWNED as [typeof POD, typeof POD];
    await change(map, 'relay-policy', { immutable: true });
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas: 2, logging: { level: 'debug' } }));
    const told = await until('the status to tell', async () => {
      const { conditions } = (await get(MAIL_RELAY, 'relay'))['status'] as MailRelayStatus;
      return conditions?.find(({ reason }) => reason === 'Denied');
    });
    assert.match(
      told.message,
      /ConfigMap\/relay-policy.*immutable.*: delete it, and the operator makes it again$/,
    );
    await api.admin.request({ method: 'DELETE', path: apiPath(map, NAMESPACE, 'relay-policy') });
    await whenSettled(api, NAMESPACE, 'relay', 60_000);
  });
});
