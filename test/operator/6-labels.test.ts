/**
 * Labels and owners that others change. An object of a relay is repaired, created again if it goes, and forgotten if it
 * belongs to the relay no more. An object with our labels that is not ours costs no memory.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { selectorLabels } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, CLAIM, CONFIG_MAP, type Kind, MAIL_RELAY, OWNED, POD } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { isRest, putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'labels';
const INSTANCE = 'app.kubernetes.io/instance';
const MANAGED = 'app.kubernetes.io/managed-by';
/** Changes to the labels of an object of `relay`. */
const CHANGES: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  'another name': { [INSTANCE]: 'nobody' },
  'the name of another relay': { [INSTANCE]: 'other' },
  'no name': { [INSTANCE]: null },
  'another manager': { [MANAGED]: 'somebody' },
  'no manager': { [MANAGED]: null },
  nothing: { [INSTANCE]: null, [MANAGED]: null, 'app.kubernetes.io/name': null },
};
const NAMES: Readonly<Record<string, string>> = {
  Service: 'relay',
  ConfigMap: 'relay-policy',
  PodDisruptionBudget: 'relay',
  StatefulSet: 'relay',
};
const MEGABYTE = 1_000_000;
/** ConfigMaps of a megabyte each. */
const LARGE = 100;
const BAR_BYTES = 300 * 1024 * 1024;

describe('labels prove nothing', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const path = (kind: Kind, name: string) => apiPath(kind, NAMESPACE, name);
  const get = (kind: Kind, name: string) =>
    api.admin.request<KubeObject>({ method: 'GET', path: path(kind, name) }).catch((error) => {
      if (isKubeError(error, 'notFound')) return undefined;
      throw error;
    });
  const relabel = (kind: Kind, name: string, labels: Readonly<Record<string, string | null>>) =>
    api.admin.request({
      method: 'PATCH',
      path: path(kind, name),
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
  const remove = (kind: Kind, name: string) =>
    api.admin.request({
      method: 'DELETE',
      path: path(kind, name),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: kind.kind === 'StatefulSet' ? 'Orphan' : 'Background',
      },
    });

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    // It is paused, and would lose a Lease.
    operator = await Operator.start(api, { identity: 'labels', args: ['--no-leader-election'] });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    for (const name of ['relay', 'other']) await putRelay(api, relayNamed(NAMESPACE, name, { replicas: 1 }));
    for (const name of ['relay', 'other']) await whenSettled(api, NAMESPACE, name);
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  const KINDS = OWNED.filter(({ kind }) => kind in NAMES);
  for (const kind of KINDS) {
    const name = NAMES[kind.kind] ?? '';
    const hasItsLabels = async (not: string | undefined) => {
      const live = await get(kind, name);
      if (live?.metadata.uid === not || live?.metadata.deletionTimestamp) return false;
      const wanted = { ...selectorLabels('relay'), [MANAGED]: 'mailrelay-operator' };
      return Object.entries(wanted).every(([label, value]) => live?.metadata.labels?.[label] === value);
    };

    test(`the labels of a ${kind.kind} are repaired`, async () => {
      for (const [what, labels] of Object.entries(CHANGES)) {
        await relabel(kind, name, labels);
        await until(`its labels, after ${what}`, () => hasItsLabels(undefined), 60_000);
      }
    });

    test(`a ${kind.kind} that is relabelled and then deleted is made again`, async () => {
      for (const [what, labels] of Object.entries(CHANGES)) {
        const before = await get(kind, name);
        await Promise.all([relabel(kind, name, labels), remove(kind, name)]).catch(() => undefined);
        await remove(kind, name).catch(() => undefined);
        await until(`it to be made, after ${what}`, () => hasItsLabels(before?.metadata.uid), 60_000);
      }
      for (const relay of ['relay', 'other']) await whenSettled(api, NAMESPACE, relay);
    });
  }

  test('a pod and its claim get the label back by which the operator finds them', async () => {
    for (const [kind, name] of [
      [POD, 'relay-0'],
      [CLAIM, 'spool-relay-0'],
    ] as const) {
      await relabel(kind, name, { [MANAGED]: null });
      const isBack = async () => (await get(kind, name))?.metadata.labels?.[MANAGED] === 'mailrelay-operator';
      await until(`the label of the ${kind.kind}`, isBack, 60_000);
    }
    await whenSettled(api, NAMESPACE, 'relay');
  });

  test('a pod whose label is refused keeps no other change of the spec', async (t) => {
    const [serving, admission] = ['mailrelay.dev/serving', 'admissionregistration.k8s.io/v1'];
    const policy = {
      apiVersion: admission,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'pods-stay' },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['pods'] },
          ],
        },
        matchConditions: [{ name: 'here', expression: `request.namespace == '${NAMESPACE}'` }],
        validations: [{ expression: 'false', message: 'pods stay as they are' }],
      },
    };
    const binding = {
      ...{ apiVersion: admission, kind: `${policy.kind}Binding`, metadata: policy.metadata },
      spec: { policyName: policy.metadata.name, validationActions: ['Deny'] },
    };
    const PLURALS = ['validatingadmissionpolicies', 'validatingadmissionpolicybindings'] as const;
    const allow = async () => {
      for (const plural of PLURALS)
        await api.admin
          .request({ method: 'DELETE', path: `/apis/${admission}/${plural}/${policy.metadata.name}` })
          .catch(() => undefined);
    };
    t.after(allow);
    operator.pause();
    await relabel(POD, 'relay-0', { [serving]: null });
    await api.put(policy, PLURALS[0]);
    await api.put(binding, PLURALS[1]);
    const isRefused = () =>
      relabel(POD, 'relay-0', { probe: String(Date.now()) }).then(
        () => false,
        () => true,
      );
    await until('the policy to be in force', isRefused);
    operator.resume();
    const changed = { replicas: 1, logging: { level: 'debug' } };
    await putRelay(api, relayNamed(NAMESPACE, 'relay', changed));
    const isWritten = async () =>
      /"level": "debug"/.test(
        JSON.stringify((await get(CONFIG_MAP, 'relay-policy'))?.['data']).replaceAll('\\"', '"'),
      );
    await until('the new policy', isWritten);
    assert.equal((await get(POD, 'relay-0'))?.metadata.labels?.[serving], undefined);
    const isTold = async () =>
      /pods stay as they are/.test(JSON.stringify((await get(MAIL_RELAY, 'relay'))?.['status']));
    await until('the status to tell', isTold);
    await allow();
    await relabel(POD, 'relay-0', { probe: null }).catch(() => undefined);
    await whenSettled(api, NAMESPACE, 'relay', 120_000);
    assert.equal((await get(POD, 'relay-0'))?.metadata.labels?.[serving], 'true');
  });

  test("a pod that is relabelled is nobody else's, and no ghost when it goes", async () => {
    const readyReplicas = async () => {
      const status = (await get(MAIL_RELAY, 'relay'))?.['status'] as { replicas?: number } | undefined;
      return status?.replicas;
    };
    await until('its pod', async () => (await readyReplicas()) === 1);
    const { metadata } = (await get(POD, 'relay-0')) as KubeObject;
    await api.admin.request({
      method: 'PATCH',
      path: path(POD, 'relay-0'),
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { [INSTANCE]: 'other', [MANAGED]: null }, ownerReferences: null } },
    });
    await until('it to be counted no more', async () => (await readyReplicas()) === 0, 60_000);
    const other = await whenSettled(api, NAMESPACE, 'other');
    assert.equal((other.status as { replicas?: number }).replicas, 1);
    await api.admin.request({
      method: 'PATCH',
      path: path(POD, 'relay-0'),
      contentType: 'application/merge-patch+json',
      body: {
        metadata: { labels: metadata.labels, ownerReferences: metadata.ownerReferences },
      },
    });
    await until('its pod to be back', async () => (await readyReplicas()) === 1, 60_000);
    await whenSettled(api, NAMESPACE, 'relay');
    await whenQuiet(api);
  });

  test('bare pods and large objects with our labels, and no MailRelay, cost no memory', async () => {
    const labels = { ...selectorLabels('nobody'), [MANAGED]: 'mailrelay-operator' };
    const data = { large: 'x'.repeat(MEGABYTE) };
    for (let number = 0; number < LARGE; number++) {
      const metadata = { name: `large-${number}`, namespace: NAMESPACE, labels };
      const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
      await api.admin.request({
        method: 'POST',
        path: apiPath(CONFIG_MAP, NAMESPACE),
        body: configMap,
      });
    }
    for (let number = 0; number < 40; number++) {
      const metadata = { name: `nobody-${number}`, namespace: NAMESPACE, labels };
      const spec = {
        serviceAccountName: 'relay',
        automountServiceAccountToken: false,
        containers: [{ name: 'relay', image: 'x' }],
      };
      await api.admin.request({ method: 'POST', path: apiPath(POD, NAMESPACE), body: { metadata, spec } });
      const status = { phase: 'Running', podIP: `127.90.0.${number + 1}` };
      await api.admin.request({
        method: 'PATCH',
        path: `${path(POD, metadata.name)}/status`,
        contentType: 'application/merge-patch+json',
        body: { status },
      });
    }
    const since = Date.now();
    // The first list needs the most memory, so the operator starts again.
    await operator.end('SIGTERM');
    operator = await Operator.start(api, { identity: 'labels' });
    await operator.leads();
    await whenSettled(api, NAMESPACE, 'relay');
    await whenQuiet(api);
    const bytes = await memoryOf(operator);
    assert.ok(bytes.most < BAR_BYTES, `${Math.round(bytes.most / 1024 / 1024)} MiB`);
    const configMapReads = api.calls(since).filter((call) => !isRest(call) && call.resource === 'configmaps');
    assert.deepEqual(configMapReads, []);
    // The stories after this one list all ConfigMaps of the cluster.
    for (let number = 0; number < LARGE; number++)
      await api.admin.request({ method: 'DELETE', path: path(CONFIG_MAP, `large-${number}`) });
  });
});

async function memoryOf({ pid }: Operator): Promise<{ now: number; most: number }> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const of = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  return { now: of('VmRSS'), most: of('VmHWM') };
}
