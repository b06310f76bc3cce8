/**
 * A reconcile whose write fails: it makes the other writes, the status reports the failure, and the queue tries again.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { failingAt, isStatus, notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile as look } from './reconcile.ts';

/** As the controller does it: the failure goes to the queue. */
async function reconcile(...given: Parameters<typeof look>): Promise<void> {
  const { failure } = await look(...given);
  if (failure) throw failure;
}

const statusIn = (requests: readonly Request[]) =>
  (requests.find(isStatus)?.body as { status: MailRelayStatus } | undefined)?.status;
const conditionIn = (requests: readonly Request[], type: string) =>
  statusIn(requests)?.conditions?.find((condition) => condition.type === type);

describe('a write that fails', () => {
  for (const kind of ['conflict', 'unavailable', 'unauthenticated', 'expired'] as const) {
    test(`whichever call fails with ${kind}, the next run sends the rest and ends in the same place`, async () => {
      const world = settledWorld({ objects: new Map(), pods: [] });
      const fault = recordingDeps(notFound);
      await reconcile(world, fault);
      const writes = fault.requests.length;
      for (let nth = 0; nth < writes; nth++) {
        let count = 0;
        const failNth = <T>(answer: T) => {
          if (count++ === nth) throw new KubeError(kind, 'injected');
          return answer;
        };
        const deps = recordingDeps(
          (request) => failNth(request) && notFound(request),
          () => failNth(relayObject()),
        );
        await assert.rejects(reconcile(world, deps), /injected/);
        const again = recordingDeps(notFound);
        await reconcile(world, again);
        assert.deepEqual(again.requests, fault.requests);
      }
    });
  }

  test('at one object: the others are written, the status quotes the server, and it is tried again', async () => {
    const world = settledWorld({ objects: new Map(), pods: [] });
    const deps = recordingDeps(failingAt(({ path }) => path.includes('/services/')));
    await assert.rejects(reconcile(world, deps), /failed calling webhook/);
    assert.ok(deps.requests.some(({ path }) => path.includes('/statefulsets/')));
    assert.equal(conditionIn(deps.requests, 'Ready')?.status, 'False');
    const { status, reason, message } = conditionIn(deps.requests, 'Reconciling') ?? {};
    assert.deepEqual([status, reason], ['True', 'WriteFailed']);
    assert.match(message ?? '', /Service\/relay.*failed calling webhook "policy.example": mend that webhook/);
    assert.deepEqual(deps.events, ['WriteFailed']);
  });

  test('in the same way twice is told once', async () => {
    const world = settledWorld({ objects: new Map(), pods: [] });
    const fault = failingAt((request) => !isStatus(request));
    const [first, second] = [recordingDeps(fault), recordingDeps(fault)];
    await assert.rejects(reconcile(world, first), /failed calling webhook/);
    const status = statusIn(first.requests);
    assert.ok(status);
    const told = { ...world, relay: { ...world.relay, status } };
    await assert.rejects(reconcile(told, second), /failed calling webhook/);
    assert.deepEqual(second.requests.filter(isStatus), []);
  });

  test('at a pod, at what is no longer wanted, or at a claim is told as well', async () => {
    const relay = relayObject();
    const objects = liveObjects(relay);
    const unwanted = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get(
      'Certificate/relay',
    );
    objects.set('Certificate/relay', unwanted as KubeObject);
    const name = 'spool-relay-2';
    const annotations = { [ANNOTATIONS.emptied]: 'uid-of-relay-2' };
    objects.set(`PersistentVolumeClaim/${name}`, {
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'mail', annotations },
    });
    const pods = [
      podView('relay-0', podReport(relay, { policy: { hash: 'old', refused: null } })),
      podView('relay-1', podReport(relay)),
    ];
    const told = [
      ['Pod/relay-0', 'ConfigurationSound', 'ExtraRefused'],
      ['Certificate/relay', 'Reconciling', 'WriteFailed'],
      [`PersistentVolumeClaim/${name}`, 'Reconciling', 'WriteFailed'],
    ] as const;
    for (const [object, type, expected] of told) {
      const [kind = '', named = ''] = object.split('/');
      const path = `/${kind.toLowerCase()}s/${named}`;
      const deps = recordingDeps(failingAt((request) => request.path.endsWith(path)));
      await assert.rejects(reconcile(settledWorld({ relay, objects, pods }), deps), /failed calling webhook/);
      const { reason, message = '' } = conditionIn(deps.requests, type) ?? {};
      assert.equal(reason, expected, object);
      assert.ok(message.includes(object), message);
    }
  });

  test('at several objects is told in the same words, in whatever order the caches have them', async () => {
    const objects = [...liveObjects(relayObject())];
    for (const name of ['a', 'b', 'c']) {
      const ownerReferences = [{ kind: 'MailRelay', name: 'relay', uid: 'uid-of-relay', controller: true }];
      const metadata = { name, namespace: 'mail', uid: name, ownerReferences };
      objects.push([`ConfigMap/${name}`, { kind: 'ConfigMap', metadata }]);
      const annotations = { [ANNOTATIONS.emptied]: 'uid' };
      const claim = { name: `spool-relay-${objects.length}`, namespace: 'mail', annotations };
      objects.push([
        `PersistentVolumeClaim/${claim.name}`,
        { kind: 'PersistentVolumeClaim', metadata: claim },
      ]);
    }
    const statuses = [];
    for (const isIt of ['/configmaps/', '/persistentvolumeclaims/'])
      for (const ordered of [objects, objects.toReversed()]) {
        const deps = recordingDeps(failingAt(({ path }) => path.includes(isIt)));
        const world = settledWorld({ objects: new Map(ordered) });
        await assert.rejects(reconcile(world, deps), /failed calling webhook/);
        statuses.push(JSON.stringify(statusIn(deps.requests)));
      }
    assert.deepEqual([statuses[0], statuses[2]], [statuses[1], statuses[3]]);
    assert.match(statuses[0] ?? '', /ConfigMap\/a/);
  });

  test('at the mark of a claim whose pod is wanted again keeps the pod from being wanted', async () => {
    const relay = relayObject();
    const objects = liveObjects(relayObject({ replicas: 1 }));
    const name = 'spool-relay-1';
    const annotations = { [ANNOTATIONS.emptied]: 'uid-of-relay-1' };
    objects.set(`PersistentVolumeClaim/${name}`, {
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'mail', annotations },
    });
    const deps = recordingDeps(failingAt(({ path }) => path.endsWith(name)));
    await assert.rejects(reconcile(settledWorld({ relay, objects }), deps), /failed calling webhook/);
    assert.ok(!deps.requests.some(({ path }) => path.includes('/statefulsets/')));
    assert.equal(conditionIn(deps.requests, 'Reconciling')?.reason, 'WriteFailed');
  });

  test('nor does it hold any other change of the spec, and the pod is not told to stay', async () => {
    const relay = relayObject({ networkPolicy: { enabled: false }, logging: { level: 'debug' } });
    const objects = liveObjects(relayObject({ replicas: 1 }));
    const name = 'spool-relay-1';
    const annotations = { [ANNOTATIONS.emptied]: 'uid-of-relay-1' };
    const metadata = { name, namespace: 'mail', annotations };
    objects.set(`PersistentVolumeClaim/${name}`, { kind: 'PersistentVolumeClaim', metadata });
    const fault = failingAt(({ path }) => path.endsWith(name));
    for (const isThere of [true, false]) {
      const deps = recordingDeps(fault);
      if (!isThere) objects.delete('ConfigMap/relay-policy');
      const pods = [
        podView('relay-0', podReport(relay)),
        podView('relay-1', podReport(relay), { serving: 'false' }),
      ];
      await assert.rejects(reconcile(settledWorld({ relay, objects, pods }), deps), /failed calling webhook/);
      assert.ok(!deps.requests.some(({ path }) => path.includes('/pods/')), 'it gets no clients');
      const bodies = deps.requests.map(({ body }) => body as KubeObject | undefined);
      const policy = bodies.find((body) => body?.kind === 'ConfigMap')?.['data'] as Record<string, string>;
      assert.equal(parseScale(policy?.[SCALE_FILE_NAME] ?? '')?.replicas, isThere ? 1 : undefined);
      assert.ok(!bodies.some((body) => body?.kind === 'StatefulSet'));
      assert.ok(deps.requests.some(({ method, path }) => method === 'DELETE' && path.includes('networkpol')));
    }
  });

  test('nor does it keep another pod from its clients, or a Service from its ports', async () => {
    const relay = relayObject({ replicas: 3, service: { type: 'NodePort' } });
    const objects = liveObjects(relayObject({ replicas: 2 }));
    const name = 'spool-relay-2';
    const metadata = { name, namespace: 'mail', annotations: { [ANNOTATIONS.emptied]: 'uid-of-relay-2' } };
    objects.set(`PersistentVolumeClaim/${name}`, { kind: 'PersistentVolumeClaim', metadata });
    const deps = recordingDeps(failingAt(({ path }) => path.endsWith(name)));
    const pods = ['true', 'false', 'false'].map((serving, n) =>
      podView(`relay-${n}`, podReport(relay), { serving }),
    );
    await assert.rejects(reconcile(settledWorld({ relay, objects, pods }), deps), /failed calling webhook/);
    const written = deps.requests.filter(({ method }) => method !== 'GET').map(({ path }) => path);
    assert.deepEqual(
      written.filter((path) => path.includes('/pods/')).map((path) => path.split('/').at(-1)),
      ['relay-1'],
    );
    assert.ok(written.some((path) => path.endsWith('/services/relay')));
    assert.ok(!written.some((path) => path.includes('/statefulsets/')));
  });

  test('before the pods were asked is thrown all the same', async () => {
    const deps = recordingDeps(failingAt(() => true));
    const world = settledWorld({ objects: new Map(), pods: [], asked: false });
    await assert.rejects(reconcile(world, deps), /failed calling webhook/);
    assert.ok(!deps.requests.some(isStatus));
  });

  for (const kind of ['forbidden', 'invalid'] as const) {
    test(`an object that the server refuses as ${kind} is Stalled, and the others are applied all the same`, async () => {
      const deps = recordingDeps((request) => {
        if (request.method === 'PATCH' && request.path.includes('/services/'))
          throw new KubeError(kind, 'by policy', 403);
        return notFound(request);
      });
      await reconcile(settledWorld({ objects: new Map(), pods: [] }), deps);
      assert.ok(deps.requests.some(({ path }) => path.includes('/statefulsets/')));
      assert.ok(deps.events.includes('Denied'));
    });
  }
});
