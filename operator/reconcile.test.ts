/** What a look at a relay writes: what is missing or differs, in which order, and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { withStatus } from '#test/fixtures/withstatus.ts';
import { liveObjects, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import { renderStatus } from './report/status.ts';
import { Rollouts } from './rollouts.ts';
import type { World } from './world.ts';

const isWrite = ({ method }: Request) => method !== 'GET';

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
      deps.requests.filter(isWrite).map(({ method, path }) => `${method} ${path}`),
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
      return deps.requests.filter(isWrite).length;
    };
    const port = { name: 'other', port: 1, targetPort: 1, protocol: 'TCP' };
    assert.equal(await writes(edited((spec) => ({ ...spec, ports: [port, ...spec.ports] }))), 0);
    assert.equal(await writes(edited((spec) => ({ ...spec, ports: [port] }))), 1);
    assert.equal(await writes(edited((spec) => ({ ...spec, selector: { ...spec.selector, a: 'b' } }))), 1);
  });

  test('what no watch tells is read as often while the pods wait for their turn', async () => {
    const lookAgainMs = async (readByName: World['readByName']) => {
      const rollouts = new Rollouts(1);
      rollouts.inTurn = (_, set) => ({ set, waits: true });
      const world = settledWorld({ readByName: readByName ?? [] });
      return (await reconcile(world, { ...recordingDeps(notFound), rollouts })).lookAgainMs;
    };
    assert.equal(await lookAgainMs([]), 60_000);
    assert.equal(await lookAgainMs([{ kind: 'DNSEndpoint', message: 'no rights' }]), 30_000);
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
});
