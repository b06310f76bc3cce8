/**
 * What an on-call person reads first, in the MailRelay on a real API server: why pods do not run, in the words of
 * Kubernetes; that pods do not answer; and that the operator may not write, or have its Lease.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, MAIL_RELAY, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenSettled } from './relays.ts';
import { eventsOf } from './snapshot.ts';

const NAMESPACE = 'oncall';
const ROLE = { kind: 'ClusterRole', apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'clusterroles' };
const EVENT = { kind: 'Event', apiVersion: 'v1', plural: 'events' };
const SENDERS = {
  inbound: { listeners: [{ name: 'smtp', port: 25 }], clients: { networks: ['10.0.0.0/8'] } },
};

describe('what an on-call person sees', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const get = (kind: typeof POD, name: string) =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
  const statusOf = async (name: string) =>
    (await get(MAIL_RELAY, name))['status'] as MailRelayStatus | undefined;
  const patch = (path: string, body: object) =>
    api.admin.request({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  const podSays = (pod: string, status: object) =>
    patch(`${apiPath(POD, NAMESPACE, pod)}/status`, {
      status: { conditions: [{ type: 'Ready', status: 'False' }], ...status },
    });
  const told = (name: string, type: string, message: RegExp) =>
    until(`${name} to say ${message}`, async () => {
      const found = (await statusOf(name))?.conditions?.find((condition) => condition.type === type);
      if (!found || !message.test(found.message)) throw new Error(JSON.stringify(found));
      return found;
    });
  const make = async (name: string) => {
    await putRelay(api, relayNamed(NAMESPACE, name, { replicas: 2, ...SENDERS }));
    return whenSettled(api, NAMESPACE, name);
  };

  const losePod = (name: string) =>
    api.admin.request({ method: 'DELETE', path: apiPath(POD, NAMESPACE, name) }).catch((error) => {
      if (!isKubeError(error, 'notFound')) throw error;
    });

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'oncall' });
    await api.makeNamespace(NAMESPACE);
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('all is well: 2/2, and no problems', async () => {
    await make('well');
    const { ready, problems } = (await statusOf('well')) ?? {};
    assert.deepEqual([ready, problems], ['2/2', undefined]);
  });

  test('an image that cannot be pulled is Stalled in the words of the kubelet, with one event', async () => {
    await make('image');
    const waiting = {
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "nowhere.example/relay:9"',
    };
    await podSays('image-1', {
      containerStatuses: [
        { name: 'relay', image: 'x', imageID: '', ready: false, restartCount: 0, state: { waiting } },
      ],
    });
    const stalled = await told(
      'image',
      'Stalled',
      /pod image-1: ImagePullBackOff: Back-off pulling image "nowhere/,
    );
    assert.match(stalled.message, /^1 of 2 pods are ready; .*correct the image/);
    const { ready, problems } = (await statusOf('image')) ?? {};
    assert.equal(ready, '1/2');
    assert.match(problems ?? '', /^Ready,Stalled/);
    const events = await until('an event', async () => {
      const found = (await eventsOf(api, NAMESPACE)).filter((event) => event.includes('PodsNotReady'));
      return found.length > 0 ? found : undefined;
    });
    assert.equal(events.length, 1);
  });

  test('no room on a node is waited for, and quoted', async () => {
    await make('room');
    await podSays('room-0', {
      conditions: [
        { type: 'Ready', status: 'False' },
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: '0/3 nodes are available',
        },
      ],
    });
    const found = await told('room', 'Reconciling', /pod room-0: Unschedulable: 0\/3 nodes are available/);
    assert.equal(found.reason, 'PodsNotReady');
  });

  test('a quota that denies pods is read from the events of the StatefulSet', async () => {
    await make('quota');
    const { uid } = (await get(STATEFUL_SET, 'quota')).metadata;
    await api.admin.request({
      method: 'POST',
      path: apiPath(EVENT, NAMESPACE),
      body: {
        metadata: { name: 'quota.1', namespace: NAMESPACE },
        involvedObject: {
          apiVersion: 'apps/v1',
          kind: 'StatefulSet',
          name: 'quota',
          namespace: NAMESPACE,
          uid,
        },
        type: 'Warning',
        reason: 'FailedCreate',
        message: 'create Pod quota-1 failed: pods "quota-1" is forbidden: exceeded quota: pods',
        lastTimestamp: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
      },
    });
    await until('quota to be Stalled', async () => {
      // What stands for the controller makes it anew at each word about the StatefulSet, which may come late.
      await losePod('quota-1');
      const { conditions = [] } = (await statusOf('quota')) ?? {};
      const { message = '' } = conditions.find(({ type }) => type === 'Stalled') ?? {};
      return /StatefulSet\/quota: FailedCreate: .*exceeded quota/.test(message);
    });
  });

  test('pods that cannot be asked: Ready stays for what was seen, an edit is on its way, and the cure is named', async () => {
    await make('silent');
    const other = { pod: 'x-0', uid: 'other', namespace: 'elsewhere', relay: 'x' };
    for (const pod of ['silent-0', 'silent-1']) pods.answerAs(NAMESPACE, pod, other);
    const applied = await told('silent', 'PolicyApplied', /answers for pod silent-0/);
    assert.deepEqual([applied.status, applied.reason], ['Unknown', 'PodsUnreachable']);
    assert.match(applied.message, /let the operator reach port 9090/);
    await told('silent', 'QueueHealthy', /answers for pod silent-0/);
    const conditions = (await statusOf('silent'))?.conditions ?? [];
    const of = (type: string) => conditions.find((condition) => condition.type === type);
    assert.deepEqual([of('Ready')?.status, of('QueueHealthy')?.status], ['True', 'Unknown']);
    await putRelay(api, relayNamed(NAMESPACE, 'silent', { replicas: 2, ...SENDERS, trace: { level: 1 } }));
    await told('silent', 'Reconciling', /answers for pod silent-0/);
    for (const pod of ['silent-0', 'silent-1']) pods.answerAs(NAMESPACE, pod, undefined);
    await whenSettled(api, NAMESPACE, 'silent');
  });

  test('an operator whose Lease is refused is not ready, and says why', async () => {
    // Its Role names the Leases that it may have.
    const other = await Operator.start(api, { identity: 'without', args: ['--lease', 'another'] });
    await until('it to say so', async () => {
      const { status, text } = await other.health('/readyz');
      return status === 503 && /the Lease is refused, restore the roles.*leases/.test(text);
    });
    assert.match(String(other.said('cannot_lead')?.['message']), /leases.*"another" is forbidden/);
    assert.equal(other.said('leading'), undefined);
    await other.end('SIGTERM');
  });

  test('an operator that may not write is not ready, until it may', async () => {
    const path = apiPath(ROLE, undefined, 'mailrelay');
    const role = await api.admin.request<KubeObject & { rules: { resources: string[] }[] }>({
      method: 'GET',
      path,
    });
    const rules = role.rules.filter(({ resources }) => !resources.includes('mailrelays/status'));
    await patch(path, { rules });
    // The authorizer sees the new role a moment later.
    let level = 0;
    await until(
      'it to say so',
      async () => {
        level = (level + 1) % 3;
        await putRelay(api, relayNamed(NAMESPACE, 'well', { replicas: 2, ...SENDERS, trace: { level } }));
        return /writes are forbidden.*mailrelays\/status/.test((await operator.health('/readyz')).text);
      },
      60_000,
    );
    await patch(path, { rules: role.rules });
    await until('it to be ready', async () => (await operator.health('/readyz')).status === 200, 60_000);
    await whenSettled(api, NAMESPACE, 'well');
  });
});
