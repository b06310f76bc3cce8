/**
 * Which reports the operator accepts. If the pod of another relay answers at an address, its report proves nothing
 * about the pod that was polled. A claim that a person is restoring is not a claim that was never used.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SERVING_LABEL } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, CLAIM, MAIL_RELAY, POD } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane, STORAGE_CLASS } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'words';

describe('whose word is believed', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const get = (kind: typeof POD, name: string) =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
  const isThere = (kind: typeof POD, name: string) =>
    get(kind, name).then(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
      (error) => !isKubeError(error, 'notFound'),
    );
  const put = (replicas: number) => putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas }));
  const reconciling = async () => {
    const { status } = await get(MAIL_RELAY, 'relay');
    const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; message: string }[] };
    return conditions.find(({ type }) => type === 'Reconciling')?.message;
  };

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'words' });
    await api.makeNamespace(NAMESPACE);
    await put(2);
    await whenSettled(api, NAMESPACE, 'relay');
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('the claim of a pod that leaves stays while another relay answers at its address that it is empty', async () => {
    const other = { pod: 'other-1', uid: 'another', namespace: NAMESPACE, relay: 'other' };
    pods.answerAs(NAMESPACE, 'relay-1', other);
    await put(1);
    await until('it to be told', async () => /other-1 .*answers/.test((await reconciling()) ?? ''));
    await whenQuiet(api);
    const claim = await get(CLAIM, 'spool-relay-1');
    assert.equal(claim.metadata.annotations?.['mailrelay.dev/emptied'], undefined);
    const pod = await get(POD, 'relay-1');
    assert.equal(pod.metadata.labels?.[SERVING_LABEL], 'false');
    pods.answerAs(NAMESPACE, 'relay-1', undefined);
    await until('pod and claim to go', async () => !(await isThere(CLAIM, 'spool-relay-1')), 90_000);
    await whenSettled(api, NAMESPACE, 'relay');
  });

  test('a claim that waits for its snapshot is kept, and one of a pod that never ran goes', async () => {
    for (const [name, origin] of [
      [
        'spool-relay-2',
        { dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' } },
      ],
      ['spool-relay-1', {}],
    ] as const) {
      const { labels } = (await get(CLAIM, 'spool-relay-0')).metadata;
      const body = {
        metadata: { name, namespace: NAMESPACE, labels },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: STORAGE_CLASS,
          resources: { requests: { storage: '1Gi' } },
          ...origin,
        },
      };
      await api.admin.request({ method: 'POST', path: apiPath(CLAIM, NAMESPACE), body });
    }
    await until('its pod to be brought back', () => isThere(POD, 'relay-2'), 60_000);
    assert.ok(await isThere(CLAIM, 'spool-relay-2'));
  });
});
