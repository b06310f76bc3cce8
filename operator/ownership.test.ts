/** Whose an object is: a look removes and takes back what is ours, and touches nothing of somebody else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { withStatus } from '#test/fixtures/withstatus.ts';
import { liveObjects, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';

describe('reconcile', () => {
  test('removes what is ours and no longer wanted, and nothing else', async () => {
    const relay = relayObject();
    const objects = liveObjects(relay);
    const own = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get('Certificate/relay');
    objects.set('Certificate/relay', own as never);
    objects.set('ConfigMap/foreign', {
      kind: 'ConfigMap',
      metadata: { name: 'foreign', namespace: 'mail', uid: 'x' },
    } as never);
    const deps = recordingDeps();
    await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.deepEqual(
      deps.requests.map(({ method, path }) => `${method} ${path}`),
      [
        'GET /apis/mailrelay.dev/v1alpha1/namespaces/mail/mailrelays/relay',
        'DELETE /apis/cert-manager.io/v1/namespaces/mail/certificates/relay',
      ],
    );
    // The write of a paused leader arrives late. The next leader has written to the object and may want it.
    const { body } = deps.requests[1] as { body: { preconditions: unknown } };
    assert.deepEqual(body.preconditions, { uid: 'uid-of-Certificate', resourceVersion: '1' });
  });

  test('what changed since it was judged is not deleted, which is no failure: its change is news', async () => {
    const objects = liveObjects(relayObject());
    const own = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get('Certificate/relay');
    objects.set('Certificate/relay', own as KubeObject);
    const deps = recordingDeps(({ method }) => {
      if (method === 'DELETE') throw new KubeError('conflict', 'changed', 409);
      return {};
    });
    await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.equal(deps.requests.filter(({ method }) => method !== 'GET').length, 1);
  });

  test('never takes over an object of someone else', async () => {
    const objects = liveObjects(relayObject());
    objects.delete('Service/relay');
    const deps = recordingDeps(({ method }) =>
      method === 'GET' ? { metadata: { name: 'relay', namespace: 'mail' } } : {},
    );
    const { lookAgainMs } = await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.equal(lookAgainMs, 30_000, 'nobody else tells when the name is free');
    assert.ok(
      !deps.requests.some(({ method, path }) => method === 'PATCH' && path.endsWith('services/relay')),
    );
    assert.deepEqual(deps.events, ['NameTaken']);
  });

  test('takes back what lost its owner, and nothing that has another or was never ours', async () => {
    type Metadata = Partial<KubeObject['metadata']>;
    const writes = async (
      change: (metadata: KubeObject['metadata']) => Metadata,
      relay: Metadata = relayObject().metadata,
    ) => {
      const objects = liveObjects(relayObject());
      const service = objects.get('Service/relay') as KubeObject;
      const { ownerReferences: _, ...metadata } = service.metadata;
      objects.set('Service/relay', { ...service, metadata: { ...metadata, ...change(metadata) } });
      const deps = recordingDeps(undefined, () => ({ metadata: relay }));
      await reconcile(withStatus(settledWorld({ objects })), deps).catch(({ kind }) =>
        assert.equal(kind, 'outdated'),
      );
      return deps.requests.filter(({ path }) => path.endsWith('/services/relay'));
    };
    const [{ body } = { body: undefined }] = await writes(() => ({}));
    assert.equal((body as KubeObject).metadata.ownerReferences?.[0]?.uid, 'uid-of-relay');
    assert.deepEqual(await writes(() => ({ ownerReferences: [{ uid: 'other', controller: true }] })), []);
    assert.deepEqual(await writes(() => ({ annotations: {} })), []);
    assert.deepEqual(await writes(() => ({ labels: selectorLabels('other') })), []);
    // Kubernetes removed the owner because the MailRelay is being deleted. The caches see the deletion later.
    assert.deepEqual(await writes(() => ({}), { uid: 'uid-of-relay', deletionTimestamp: 'now' }), []);
    assert.deepEqual(await writes(() => ({}), { uid: 'of-the-next' }), []);
  });

  test('what is going is in progress, is not written to, and nobody else took its name', async () => {
    const ofEarlier = [{ kind: 'MailRelay', name: 'relay', uid: 'earlier', controller: true }];
    for (const change of [{ deletionTimestamp: '2026-01-01T00:00:00Z' }, { ownerReferences: ofEarlier }]) {
      for (const [name, isReady] of [
        ['Service/relay', 'True'],
        ['StatefulSet/relay', 'False'],
      ] as const) {
        const objects = liveObjects(relayObject());
        const object = objects.get(name) as KubeObject;
        objects.set(name, { ...object, metadata: { ...object.metadata, ...change } });
        const deps = recordingDeps();
        await reconcile(withStatus(settledWorld({ objects })), deps);
        assert.deepEqual(
          deps.requests.map(({ path }) => path.split('/').slice(-2).join('/')),
          ['relay/status'],
        );
        const { status } = (deps.requests[0] as { body: { status: MailRelayStatus } }).body;
        const is = (type: string) => status.conditions?.find((condition) => condition.type === type);
        assert.equal(is('Reconciling')?.reason, 'MakingAnew');
        assert.match(is('Reconciling')?.message ?? '', new RegExp(name));
        assert.equal(is('Stalled'), undefined);
        assert.equal(is('Ready')?.status, isReady);
      }
    }
  });

  test('never lets a StatefulSet take the claim of someone else, and takes that of a relay of the same name before', async () => {
    const run = async (labels: Record<string, string>) => {
      const deps = recordingDeps((request) =>
        request.path.endsWith('/spool-relay-1') && request.method === 'GET'
          ? { metadata: { name: 'spool-relay-1', labels } }
          : notFound(request),
      );
      await reconcile(settledWorld({ objects: new Map(), pods: [] }), deps);
      return deps.requests.some(({ method, path }) => method === 'PATCH' && path.includes('/statefulsets/'));
    };
    assert.equal(await run({ app: 'database' }), false);
    assert.equal(await run(selectorLabels('relay')), true);
  });

  test('writes to the object that it looked at, and makes a new one only where there is none', async () => {
    const deps = recordingDeps(notFound);
    await reconcile(settledWorld({ objects: new Map(), pods: [] }), deps);
    const made = deps.requests.filter(({ method, path }) => method === 'PATCH' && !path.endsWith('/status'));
    assert.ok(made.every(({ query }) => query?.['force'] === undefined));
    const objects = liveObjects(relayObject());
    const service = objects.get('Service/relay') as KubeObject;
    objects.set('Service/relay', { ...service, spec: {} });
    const repairing = recordingDeps();
    await reconcile(withStatus(settledWorld({ objects })), repairing);
    const [{ body, query = {} }] = repairing.requests.filter(({ method }) => method !== 'GET') as [Request];
    assert.equal((body as KubeObject).metadata.uid, service.metadata.uid);
    assert.equal(query['force'], 'true');
  });

  test('waits for an object that is being deleted', async () => {
    const objects = liveObjects(relayObject());
    const going = objects.get('StatefulSet/relay') as KubeObject;
    objects.set('StatefulSet/relay', {
      ...going,
      metadata: { ...going.metadata, annotations: {}, deletionTimestamp: '2026-01-01T00:00:00Z' },
    });
    const deps = recordingDeps();
    await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.deepEqual(
      deps.requests.filter(({ path }) => path.includes('statefulsets')),
      [],
    );
  });
});
