/**
 * What the API server refuses, at a relay that is looked at twice a second: it is sent a few times, with growing pauses,
 * and at once when the spec or the object changes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { failingAt, isStatus, notFound, recordingDeps, WEBHOOK_DOWN } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile as look } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import type { PodView, World } from './world.ts';

describe('a relay that is looked at twice a second, while the API server refuses one object', () => {
  const LOOKS = 120;
  const MINUTE = 60_000;

  /** The calls of one minute about what is refused, and about all else; `at` changes the world before some looks. */
  async function minute(error: KubeError, isIt: (request: Request) => boolean, world: World, at = noChange) {
    let now = 0;
    const all = new AllPaces(() => now);
    let { relay } = world;
    const answer = (request: Request) => {
      if (request.method !== 'GET' && isIt(request)) throw error;
      return notFound(request);
    };
    const deps = recordingDeps(answer, () => relay);
    for (let nth = 0; nth < LOOKS; nth++, now += MINUTE / LOOKS) {
      const seen = at({ ...world, now: world.now + now }, nth);
      relay = seen.relay;
      const paces = all.of('mail/relay', seen.relay.metadata.generation);
      await look(seen, { ...deps, writer: { ...deps.writer, paces } }).catch((thrown) =>
        assert.equal(thrown.message, error.message),
      );
    }
    return deps.requests.filter(isIt);
  }
  const noChange = (world: World, _nth: number) => world;
  const withAll = () => {
    const objects = liveObjects(relayObject());
    const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(relayObject())));
    return settledWorld({ objects, pods });
  };
  const without = (name: string) => {
    const world = withAll();
    const objects = new Map(world.objects);
    objects.delete(name);
    return { ...world, objects };
  };
  const isOf = (plural: string) => (request: Request) => request.path.includes(`/${plural}/`);
  const ERRORS = [
    new KubeError('forbidden', 'admission webhook "policy.example" denied the request', 403),
    new KubeError('invalid', 'no', 422),
    new KubeError('failed', WEBHOOK_DOWN, 500),
  ];

  for (const error of ERRORS) {
    test(`(${error.kind}) it is sent a few times, with growing pauses, and nothing else is sent`, async () => {
      const calls = await minute(error, isOf('poddisruptionbudgets'), without('PodDisruptionBudget/relay'));
      const writes = calls.filter(({ method }) => method !== 'GET');
      assert.ok(writes.length >= 5 && writes.length <= 8, `${writes.length} writes`);
      assert.equal(calls.length, 2 * writes.length, 'it is read for each write, and not between');
    });

    test(`(${error.kind}) so is a label, a refresh, a status, and what is to be deleted`, async () => {
      const world = withAll();
      const [first, second] = world.pods as [PodView, PodView];
      const unlabelled = { ...world, pods: [{ ...first, serving: 'false' }, second] };
      const old = podReport(relayObject(), { policy: { hash: 'old', refused: null } });
      const outdated = { ...world, pods: [podView('relay-0', old), second] };
      const certificate = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get(
        'Certificate/relay',
      );
      const objects = new Map([...world.objects, ['Certificate/relay', certificate as KubeObject]]);
      for (const [isIt, seen] of [
        [isOf('pods'), unlabelled],
        [isOf('pods'), outdated],
        [isStatus, world],
        [isOf('certificates'), { ...world, objects }],
      ] as const) {
        const calls = await minute(error, isIt, seen);
        assert.ok(calls.length >= 5 && calls.length <= 8, `${calls.length} calls`);
      }
    });
  }

  test('so are records that live shorter than before, though their note names the present time', async () => {
    const [error] = ERRORS as [KubeError];
    const relay = relayObject({
      tls: { secretName: 's' },
      dns: { tlsa: true, ttl: '5m', publish: 'DNSEndpoint' },
    });
    const objects = new Map([...liveObjects(relay)].filter(([name]) => name !== 'DNSEndpoint/relay'));
    const dnsName = '_25._tcp.relay.example.com';
    const endpoints = [
      { dnsName, recordType: 'TLSA', recordTTL: 3_600, targets: [`3 1 1 ${'a'.repeat(64)}`] },
    ];
    const ownerReferences = [{ kind: 'MailRelay', name: 'relay', uid: 'uid-of-relay', controller: true }];
    const metadata = { name: 'relay', namespace: 'mail', uid: 'uid-of-endpoint', ownerReferences };
    objects.set('DNSEndpoint/relay', { kind: 'DNSEndpoint', metadata, spec: { endpoints } });
    const keys = { inService: 's', former: [] };
    const calls = await minute(error, isOf('dnsendpoints'), settledWorld({ relay, objects, keys }));
    const sent = calls[0]?.body as KubeObject | undefined;
    assert.match(sent?.metadata.annotations?.[ANNOTATIONS.copiesUntil] ?? '', /^2026-01-01T02:0/);
    assert.ok(calls.length >= 5 && calls.length <= 8, `${calls.length} calls`);
  });

  test('a change of the spec, or of the object by hand, is tried at once', async () => {
    const [error] = ERRORS as [KubeError];
    const isIt = isOf('services');
    const plain = await minute(error, isIt, without('Service/relay'));
    const changes: Record<string, (world: World) => World> = {
      'another spec': (world) => {
        const { metadata, ...relay } = relayObject({ service: { type: 'NodePort' } });
        return { ...world, relay: { ...relay, metadata: { ...metadata, generation: 4 } } };
      },
      'an object by hand': (world) => {
        const objects = new Map(world.objects);
        const service = liveObjects(relayObject()).get('Service/relay') as KubeObject;
        const metadata = { ...service.metadata, labels: {} };
        return { ...world, objects: objects.set('Service/relay', { ...service, metadata }) };
      },
    };
    for (const [what, change] of Object.entries(changes)) {
      const last = LOOKS - 1;
      const calls = await minute(error, isIt, without('Service/relay'), (world, nth) =>
        nth === last ? change(world) : world,
      );
      assert.ok(calls.length > plain.length, what);
    }
  });

  test('so is a change by hand of what is to be deleted, of a pod, of a claim, and of what the caches lack', async () => {
    const [error] = ERRORS as [KubeError];
    const counts = async (
      world: World,
      isIt: (request: Request) => boolean,
      change: (world: World) => World,
      live: () => KubeObject | undefined = () => undefined,
    ) => {
      const paces = new AllPaces(() => 0).of('mail/relay', 3);
      const sent: number[] = [];
      for (const seen of [() => world, () => world, () => change(world)]) {
        const deps = recordingDeps((request) => {
          if (request.method !== 'GET' && isIt(request)) throw error;
          return (isIt(request) && live()) || notFound(request);
        });
        await look(seen(), { ...deps, writer: { ...deps.writer, paces } });
        sent.push(deps.requests.filter((one) => one.method !== 'GET' && isIt(one)).length);
      }
      return sent;
    };
    /** The world with this object, and with the same one after a change by hand. */
    const changing = (name: string, object: KubeObject, more: Partial<World> = {}) => {
      const put = (one: KubeObject) => ({
        ...withAll(),
        ...more,
        objects: new Map([...(more.objects ?? withAll().objects), [name, one]]),
      });
      const { metadata } = object;
      const annotations = { ...metadata.annotations, keep: 'no' };
      return [
        put(object),
        put({ ...object, metadata: { ...metadata, annotations, resourceVersion: '9' } }),
      ] as const;
    };
    const certificate = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get(
      'Certificate/relay',
    ) as KubeObject;
    const [unwanted, edited] = changing('Certificate/relay', certificate);
    assert.deepEqual(await counts(unwanted, isOf('certificates'), () => edited), [1, 0, 1]);

    const metadata = { name: 'relay-0', namespace: 'mail', uid: 'u', resourceVersion: '1' };
    const pod = { kind: 'Pod', metadata, spec: {} };
    const [first, second] = withAll().pods as [PodView, PodView];
    const old = podReport(relayObject(), { policy: { hash: 'old', refused: null } });
    for (const pods of [
      [{ ...first, serving: 'false' }, second],
      [podView('relay-0', old), second],
    ]) {
      const [before, after] = changing('Pod/relay-0', pod, { pods });
      assert.deepEqual(
        await counts(
          before,
          (one) => one.path.endsWith('/pods/relay-0'),
          () => after,
        ),
        [1, 0, 1],
      );
    }

    const relay = relayObject({ queue: { storage: { size: '9Gi' } } });
    const name = 'spool-relay-0';
    const spec = { resources: { requests: { storage: '1Gi' } }, volumeName: 'v' };
    const status = { phase: 'Bound', capacity: { storage: '1Gi' } };
    const labels = managedLabels('relay');
    const claim = {
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'mail', labels },
      spec,
      status,
    };
    const [small, noted] = changing(`PersistentVolumeClaim/${name}`, claim, {
      relay,
      policy: withAll().policy,
    });
    assert.deepEqual(await counts(small, isOf('persistentvolumeclaims'), () => noted), [1, 0, 1]);

    const hidden = without('Service/relay');
    let service = withAll().objects.get('Service/relay') as KubeObject;
    const byHand = () => {
      service = { ...service, metadata: { ...service.metadata, annotations: { keep: 'no' } } };
      return hidden;
    };
    service = { ...service, metadata: { ...service.metadata, labels: {} } };
    const ofService = (one: Request) => one.path.endsWith('/services/relay');
    assert.deepEqual(await counts(hidden, ofService, byHand, () => service), [1, 0, 1]);
  });

  test('it asks the queue to wait as long, and names the time of the next look that others need', async () => {
    const [, , error] = ERRORS as [KubeError, KubeError, KubeError];
    const paces = new AllPaces(() => 0).of('mail/relay', 3);
    const deps = recordingDeps(failingAt(isOf('services')));
    const world = without('Service/relay');
    const writer = { ...deps.writer, paces };
    const first = await look(world, { ...deps, writer });
    assert.equal(first.failure?.message, error.message);
    const held = await look(world, { ...deps, writer });
    assert.equal(held.failure?.retryAfter, 0.5);
    assert.ok(held.lookAgainMs !== undefined);
  });
});
