import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import { renderStatus } from './report/status.ts';
import type { PodView, World } from './world.ts';

const withStatus = (world: World): World => {
  const status = renderStatus({ ...world, obstacles: [] }) as MailRelayStatus;
  return { ...world, relay: { ...world.relay, status } };
};

describe('reconcile', () => {
  test('writes nothing and tells nothing when the world is as wanted', async () => {
    const deps = recordingDeps();
    await reconcile(withStatus(settledWorld()), deps);
    assert.deepEqual(deps.requests, []);
    assert.deepEqual(deps.events, []);
  });

  test('the same world twice gives the same status bytes', () => {
    const world = { ...settledWorld(), obstacles: [] };
    assert.equal(JSON.stringify(renderStatus(world)), JSON.stringify(renderStatus(world)));
  });

  test('makes everything of a new MailRelay, the pods last, and a status with Ready from the first time', async () => {
    const deps = recordingDeps(notFound);
    await reconcile(settledWorld({ objects: new Map(), pods: [] }), deps);
    const patched = deps.requests
      .filter(({ method }) => method === 'PATCH')
      .map(({ path }) => path.split('/').slice(-2).join('/'));
    assert.equal(patched.at(-2), 'statefulsets/relay');
    assert.equal(patched.at(-1), 'relay/status');
    const { body } = deps.requests.at(-1) as { body: { status: MailRelayStatus } };
    assert.equal(body.status.conditions?.[0]?.type, 'Ready');
    assert.equal(body.status.observedGeneration, 3);
  });

  test('labels of pods come before the Service that selects by them, and before a pod is told to leave', async () => {
    const deps = recordingDeps(notFound);
    const unlabelled = podView('relay-0', podReport(relayObject()), { serving: undefined });
    const leaving = [podView('relay-2', podReport(relayObject()))];
    await reconcile(settledWorld({ objects: new Map(), pods: [unlabelled], leaving }), deps);
    const writes = deps.requests.filter(({ method }) => method !== 'GET');
    const labels = writes.slice(0, 2).map(({ path, body }) => [path.split('/').at(-1), body]);
    const patch = (uid: string, serving: string) => ({
      metadata: { uid, labels: { 'mailrelay.dev/serving': serving } },
    });
    assert.deepEqual(labels, [
      ['relay-0', patch('uid-of-relay-0', 'true')],
      ['relay-2', patch('uid-of-relay-2', 'false')],
    ]);
  });

  /** What is written of a relay with two pods at a server that refuses the patches of pods. */
  async function withoutLabels(changes: Readonly<Record<string, unknown>>, pods: Partial<World>) {
    const relay = relayObject({ service: { type: 'NodePort' }, logging: { level: 'debug' }, ...changes });
    const deps = recordingDeps((request) => {
      if (request.method !== 'GET' && request.path.includes('/pods/'))
        throw new KubeError('forbidden', 'no', 403);
      return request.method === 'GET' ? notFound(request) : request.body;
    });
    await reconcile(settledWorld({ relay, objects: liveObjects(relayObject()), ...pods }), deps);
    const bodies = deps.requests
      .filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'))
      .map(({ body }) => body as { kind?: string; spec?: { replicas?: number }; data?: object });
    const policy = bodies.find(({ kind }) => kind === 'ConfigMap')?.data as
      | Record<string, string>
      | undefined;
    const scale = parseScale(policy?.[SCALE_FILE_NAME] ?? '');
    const set = bodies.find(({ kind }) => kind === 'StatefulSet')?.spec;
    return {
      kinds: bodies.flatMap(({ kind = [] }) => kind),
      order: scale?.replicas,
      replicas: set?.replicas,
    };
  }

  test('a pod that cannot be labelled holds what selects it, and no other change of the spec', async () => {
    const pods = ['relay-0', 'relay-1'].map((name) =>
      podView(name, podReport(relayObject()), { serving: undefined }),
    );
    const { kinds, order } = await withoutLabels({}, { pods });
    assert.deepEqual([kinds, order], [['ConfigMap'], 2]);
    // One that is not there yet has no clients.
    const objects = new Map([...liveObjects(relayObject())].filter(([name]) => name !== 'Service/relay'));
    assert.ok((await withoutLabels({}, { pods, objects })).kinds.includes('Service'));
  });

  for (const mode of ['Durable', 'CutThrough'])
    test(`a pod of mode ${mode} that cannot be taken from the Service is not told to leave`, async () => {
      const [first, second] = ['relay-0', 'relay-1'].map((name) => podView(name, podReport(relayObject())));
      const pods = { pods: [first as PodView], leaving: [second as PodView] };
      const objects = liveObjects(relayObject({ queue: { mode } }));
      const written = await withoutLabels({ replicas: 1, queue: { mode } }, { ...pods, objects });
      assert.equal(written.order, 2);
      assert.equal(written.replicas, undefined, 'the StatefulSet keeps its places');
      assert.ok(!written.kinds.includes('Service'));
    });

  test('Certificates that cannot be listed are left alone, and all else is made', async () => {
    const relay = relayObject({ tls: { issuerRef: { name: 'ca' } } });
    const older = { ...relay.metadata, name: 'other', uid: 'o', creationTimestamp: '2025-01-01T00:00:00Z' };
    const filled = [{ secret: 'relay-tls', relay: { ...relay, metadata: older }, since: undefined }];
    const unlisted = [{ kind: 'Certificate', message: 'the server is broken' }];
    const deps = recordingDeps(notFound);
    await reconcile(settledWorld({ relay, filled, unlisted, objects: new Map() }), deps);
    const paths = deps.requests.map(({ path }) => path);
    assert.ok(paths.some((path) => path.endsWith('/statefulsets/relay')));
    assert.deepEqual(
      paths.filter((path) => path.includes('cert-manager.io')),
      [],
    );
    const { body } = deps.requests.at(-1) as { body: { status: MailRelayStatus } };
    const shown = body.status.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
    assert.ok(shown?.includes('Reconciling True CertManagerUnlisted'), String(shown));
    assert.ok(!shown?.some((one) => one.startsWith('Stalled')), String(shown));
    assert.match(
      body.status.conditions?.find(({ type }) => type === 'ConfigurationSound')?.message ?? '',
      /does not list Certificates, .*: the server is broken: see that cert-manager/,
    );
  });

  test('repairs what was edited, and only that', async () => {
    const relay = relayObject();
    const objects = liveObjects(relay);
    const service = objects.get('Service/relay') as unknown as { spec: { type: string } };
    objects.set('Service/relay', { ...service, spec: { ...service.spec, type: 'NodePort' } } as never);
    const deps = recordingDeps();
    await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.deepEqual(
      deps.requests.map(({ method, path }) => `${method} ${path}`),
      ['PATCH /api/v1/namespaces/mail/services/relay'],
    );
  });

  test('fields that a server adds, and defaults, are no difference', async () => {
    const objects = liveObjects(relayObject());
    const service = objects.get('Service/relay') as unknown as { spec: object };
    objects.set('Service/relay', {
      ...service,
      spec: { ...service.spec, clusterIP: '10.0.0.1', sessionAffinity: 'None' },
      status: {},
    } as never);
    const deps = recordingDeps();
    await reconcile(withStatus(settledWorld({ objects })), deps);
    assert.deepEqual(deps.requests, []);
  });

  test('what others add beside ours is no difference, but for what changes the meaning of ours', async () => {
    const edited = (change: (spec: { ports: object[]; selector: object }) => object) => {
      const objects = liveObjects(relayObject());
      const service = objects.get('Service/relay') as unknown as {
        spec: { ports: object[]; selector: object };
      };
      objects.set('Service/relay', { ...service, spec: change(service.spec) } as never);
      return objects;
    };
    const writes = async (objects: World['objects']) => {
      const deps = recordingDeps();
      await reconcile(withStatus(settledWorld({ objects })), deps);
      return deps.requests.length;
    };
    const port = { name: 'other', port: 1, targetPort: 1, protocol: 'TCP' };
    assert.equal(await writes(edited((spec) => ({ ...spec, ports: [port, ...spec.ports] }))), 0);
    assert.equal(await writes(edited((spec) => ({ ...spec, ports: [port] }))), 1);
    assert.equal(await writes(edited((spec) => ({ ...spec, selector: { ...spec.selector, a: 'b' } }))), 1);
  });

  describe('annotations and placement of the spec', () => {
    const said = {
      pod: {
        annotations: { 'example.com/scrape': 'true' },
        affinity: {
          podAffinity: null,
          nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] },
        },
      },
      service: { annotations: { 'example.com/internal': 'true' } },
    };
    const written = async (changes: Readonly<Record<string, unknown>>, objects: World['objects']) => {
      const deps = recordingDeps(notFound);
      await reconcile(withStatus(settledWorld({ relay: relayObject(changes), objects })), deps);
      const writes = deps.requests.filter(({ method }) => method !== 'GET');
      return writes.map(({ path, body }) => ({ at: path.split('/').at(-2), body: body as KubeObject }));
    };

    test('what others add beside them stays, and what the API server leaves out is no difference', async () => {
      const objects = liveObjects(relayObject(said));
      const service = objects.get('Service/relay') as KubeObject;
      const annotations = { ...service.metadata.annotations, 'cloud.example/id': '1' };
      objects.set('Service/relay', { ...service, metadata: { ...service.metadata, annotations } });
      const set = objects.get('StatefulSet/relay') as KubeObject & { spec: { template: { spec: object } } };
      const { template } = set.spec;
      const spec = { ...template.spec, affinity: { nodeAffinity: {} } };
      objects.set('StatefulSet/relay', { ...set, spec: { ...set.spec, template: { ...template, spec } } });
      assert.deepEqual(await written(said, objects), []);
    });

    test('one of the Service that changes or goes is sent with the Service alone', async () => {
      const objects = liveObjects(relayObject(said));
      for (const annotations of [{ 'example.com/internal': 'false' }, {}]) {
        const writes = await written({ ...said, service: { annotations } }, objects);
        assert.deepEqual(
          writes.map(({ at, body }) => [at, body.metadata.annotations?.['example.com/internal']]),
          [['services', Object.values(annotations)[0]]],
        );
      }
    });

    test('one of the pods that changes is sent with the StatefulSet alone', async () => {
      const objects = liveObjects(relayObject(said));
      const writes = await written({ ...said, pod: {} }, objects);
      assert.deepEqual(
        writes.map(({ at }) => at),
        ['statefulsets'],
      );
    });
  });

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
      ['DELETE /apis/cert-manager.io/v1/namespaces/mail/certificates/relay'],
    );
    // The write of a paused leader arrives late. The next leader has written to the object and may want it.
    const { body } = deps.requests[0] as { body: { preconditions: unknown } };
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
    assert.equal(deps.requests.length, 1);
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
      const deps = recordingDeps(({ method }) => (method === 'GET' ? { metadata: relay } : {}));
      await reconcile(withStatus(settledWorld({ objects })), deps);
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
    const [{ body, query = {} }] = repairing.requests as [Request];
    assert.equal((body as KubeObject).metadata.uid, service.metadata.uid);
    assert.equal(query['force'], 'true');
  });

  test('touches the pods that do not report the wanted policy, with a value that tells what for', async () => {
    const relay = relayObject();
    const pods = [
      podView('relay-0', podReport(relay)),
      podView('relay-1', podReport(relay, { policy: { hash: 'old', refused: null } })),
    ];
    const deps = recordingDeps();
    const { lookAgainMs } = await reconcile(withStatus(settledWorld({ pods })), deps);
    const touched = deps.requests.filter(({ path }) => path.includes('/pods/'));
    assert.deepEqual(
      touched.map(({ path }) => path),
      ['/api/v1/namespaces/mail/pods/relay-1'],
    );
    assert.equal(lookAgainMs, 1_500);
  });

  test('touches a pod that misses a Secret for a minute, in case it comes, and then no more', async () => {
    const problem = { reason: 'CertificateMissing', message: 'none' };
    const report = podReport(relayObject(), { certificate: null, certificateProblem: problem });
    const deps = recordingDeps();
    let refresh: string | undefined;
    for (let seconds = 0; seconds <= 300; seconds += 0.5) {
      const base = settledWorld({ pods: [podView('relay-0', report, { refresh })] });
      const before = deps.requests.length;
      await reconcile({ ...withStatus(base), now: base.now + seconds * 1_000 }, deps);
      const touch = deps.requests.slice(before).find(({ path }) => path.includes('/pods/'));
      const { metadata } = (touch?.body ?? { metadata: {} }) as Partial<KubeObject>;
      refresh = metadata?.annotations?.['mailrelay.dev/refresh'] ?? refresh;
    }
    const touches = deps.requests.filter(({ path }) => path.includes('/pods/'));
    assert.equal(touches.length, 7);
  });

  test('says nothing of pods that have not been asked yet', async () => {
    const deps = recordingDeps();
    const pods = [podView('relay-0', undefined), podView('relay-1', undefined)];
    await reconcile({ ...withStatus(settledWorld()), pods, asked: false }, deps);
    assert.deepEqual(deps.requests, []);
  });

  test('leaves a paused relay alone', async () => {
    const deps = recordingDeps();
    const relay = relayObject();
    const paused = {
      ...relay,
      metadata: { ...relay.metadata, annotations: { 'mailrelay.dev/paused': 'true' } },
    };
    await reconcile(settledWorld({ relay: paused, objects: new Map() }), deps);
    assert.deepEqual(deps.requests, []);
  });

  test('grows the claims and makes the StatefulSet anew around its pods', async () => {
    const objects = liveObjects(relayObject());
    for (const [ordinal, storage] of ['1Gi', '1536Mi', '3Gi'].entries()) {
      const name = `spool-relay-${ordinal}`;
      const spec = { resources: { requests: { storage } } };
      const metadata = { name, namespace: 'mail', uid: name, labels: managedLabels('relay') };
      objects.set(`PersistentVolumeClaim/${name}`, { kind: 'PersistentVolumeClaim', metadata, spec });
    }
    const relay = relayObject({ queue: { storage: { size: '2Gi' } } });
    const deps = recordingDeps();
    await reconcile(settledWorld({ relay, objects }), deps);
    const steps = deps.requests.map(({ method, path }) => `${method} ${path.split('/').at(-1)}`);
    const at = (step: string) => steps.indexOf(step);
    assert.ok(
      at('PATCH spool-relay-0') !== -1 && at('PATCH spool-relay-0') < at('DELETE relay'),
      steps.join(', '),
    );
    assert.ok(steps.includes('PATCH spool-relay-1'), steps.join(', '));
    assert.ok(!steps.includes('PATCH spool-relay-2'), 'it is larger already');
    const deletion = deps.requests.find(({ method }) => method === 'DELETE') as {
      body: { propagationPolicy: string };
    };
    assert.equal(deletion.body.propagationPolicy, 'Orphan');
    const ofSet = deps.requests.filter(({ path }) => path.endsWith('/statefulsets/relay'));
    const [applied, ...more] = ofSet as [Request, ...Request[]];
    const { spec } = applied.body as { spec: { volumeClaimTemplates: unknown } };
    const { spec: live } = objects.get('StatefulSet/relay') as unknown as { spec: typeof spec };
    assert.deepEqual(
      spec.volumeClaimTemplates,
      live.volumeClaimTemplates,
      'claims cannot change before it is gone',
    );
    assert.deepEqual(
      more.map(({ method }) => method),
      ['DELETE'],
    );
  });

  test('grows nothing while the API server refuses the StatefulSet for something else', async () => {
    const objects = liveObjects(relayObject());
    const relay = relayObject({ queue: { storage: { size: '2Gi' } } });
    const deps = recordingDeps((request) => {
      if (request.method === 'PATCH' && request.path.includes('/statefulsets/'))
        throw new KubeError('invalid', 'no such affinity', 422);
      return notFound(request);
    });
    await reconcile(settledWorld({ relay, objects }), deps);
    assert.ok(!deps.requests.some(({ method }) => method === 'DELETE'));
    assert.ok(deps.events.includes('Denied'));
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
