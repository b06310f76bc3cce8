/**
 * A person takes labels from a pod, at a real StatefulSet controller. It releases a pod without one of its selector,
 * and cannot make another one of the name. This story is the first one, because the controller would act on the
 * StatefulSets of others.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, type Kind, MAIL_RELAY, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { managedLabels } from '#operator/render/metadata.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed } from './relays.ts';

const NAMESPACE = 'released';
const LABELS = managedLabels('relay');
const NONE = Object.fromEntries(Object.keys(LABELS).map((label) => [label, null]));
const CHANGES: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  'another component': { 'app.kubernetes.io/component': 'debugged' },
  'the name of another relay': { 'app.kubernetes.io/instance': 'other' },
  'no instance': { 'app.kubernetes.io/instance': null },
  'none of ours': NONE,
};

describe('a pod without its labels', { concurrency: false }, () => {
  let api: Plane;
  let operator: Operator;
  let end: () => void = () => undefined;
  let ended: Promise<void>;

  const get = async (kind: typeof POD, name: string) => {
    try {
      return await api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
    } catch (error) {
      if (isKubeError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const controllerOf = (object: KubeObject | undefined) =>
    object?.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
  const relabel = (name: string, labels: object) =>
    api.admin.request({
      method: 'PATCH',
      path: apiPath(POD, NAMESPACE, name),
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
  const isWhole = async (name: string, uid?: string) => {
    const [pod, set] = [await get(POD, name), await get(STATEFUL_SET, 'relay')];
    const labels = Object.entries(LABELS).every(([label, value]) => pod?.metadata.labels?.[label] === value);
    const isKept = uid === undefined || pod?.metadata.uid === uid;
    return pod && isKept && labels && controllerOf(pod) === set?.metadata.uid ? pod : false;
  };

  before(async () => {
    api = await plane();
    const begun = Promise.withResolvers<void>();
    ended = api.withStatefulSets(() => {
      begun.resolve();
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    await begun.promise;
    // It is paused, and would lose a Lease.
    operator = await Operator.start(api, { identity: 'released', args: ['--no-leader-election'] });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas: 2 }));
    for (const name of ['relay-0', 'relay-1']) await until(name, () => isWhole(name), 60_000);
  });
  after(async () => {
    await api.admin.request({ method: 'DELETE', path: apiPath(MAIL_RELAY, NAMESPACE, 'relay') });
    await until('its pods to go', async () => !(await get(STATEFUL_SET, 'relay')), 60_000);
    await operator.end('SIGTERM');
    end();
    await ended;
  });

  for (const [what, labels] of Object.entries(CHANGES))
    for (const when of ['at once', 'after its release'])
      test(`with ${what} gets them back ${when}, and belongs to its StatefulSet again`, async () => {
        const { metadata } = await until('the pod', () => isWhole('relay-1'), 60_000);
        if (when !== 'at once') operator.pause();
        await relabel('relay-1', labels);
        if (when !== 'at once')
          await until('its release', async () => controllerOf(await get(POD, 'relay-1')) === undefined);
        operator.resume();
        await until('the same pod, whole', () => isWhole('relay-1', metadata.uid), 60_000);
      });

  test('which are of somebody else, and in the way, is told and let alone', async () => {
    const labels = { app: 'theirs' };
    const spec = { containers: [{ name: 'theirs', image: 'x' }], automountServiceAccountToken: false };
    await api.admin.request({
      method: 'POST',
      path: apiPath(POD, NAMESPACE),
      body: { metadata: { name: 'relay-2', labels }, spec: { ...spec, serviceAccountName: 'relay' } },
    });
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas: 3 }));
    const stalled = async () => {
      const status = (await get(MAIL_RELAY, 'relay'))?.['status'] as { conditions?: { message: string }[] };
      return status?.conditions?.some(({ message }) => /^Pod\/relay-2 belongs to someone else/.test(message));
    };
    await until('the status to tell', stalled, 60_000);
    assert.deepEqual((await get(POD, 'relay-2'))?.metadata.labels, labels);
    await api.admin.request({ method: 'DELETE', path: apiPath(POD, NAMESPACE, 'relay-2') });
    await until('a pod of the relay', () => isWhole('relay-2'), 120_000);
    await until('the status to tell no more', async () => !(await stalled()), 60_000);
  });

  test('of its own, in another pod of its name, make the relay no larger and are let alone', async () => {
    const account: Kind = { kind: 'ServiceAccount', apiVersion: 'v1', plural: 'serviceaccounts' };
    const theirs = { metadata: { name: 'theirs' } };
    await api.admin.request({ method: 'POST', path: apiPath(account, NAMESPACE), body: theirs });
    const { 'app.kubernetes.io/component': _component, ...labels } = LABELS;
    const containers = [{ name: 'theirs', image: 'x' }];
    await api.admin.request({
      method: 'POST',
      path: apiPath(POD, NAMESPACE),
      body: { metadata: { name: 'relay-7', labels }, spec: { containers, serviceAccountName: 'theirs' } },
    });
    const spec = { replicas: 3, logging: { level: 'debug' } };
    const { metadata } = await putRelay(api, relayNamed(NAMESPACE, 'relay', spec));
    const told = async () => {
      const status = (await get(MAIL_RELAY, 'relay'))?.['status'] as { observedGeneration?: number };
      return status?.observedGeneration === metadata.generation;
    };
    await until('the status of the next look', told, 60_000);
    const set = (await get(STATEFUL_SET, 'relay'))?.['spec'] as { replicas?: number };
    assert.equal(set.replicas, 3);
    assert.deepEqual((await get(POD, 'relay-7'))?.metadata.labels, labels);
    assert.doesNotMatch(JSON.stringify((await get(MAIL_RELAY, 'relay'))?.['status']), /relay-7/);
    await api.admin.request({ method: 'DELETE', path: apiPath(POD, NAMESPACE, 'relay-7') });
  });
});
