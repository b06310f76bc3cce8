/** The status is written although the API server does not answer for events, which only explain it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { type KubeEvent, pickComplaint, ReadEvents } from './complaints.ts';
import { podsNotReady } from './judge/pods.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';

const isEvents = ({ path }: Request) => path.endsWith('/events');

/** One pod of two is gone, and the StatefulSet has counted. */
function lackingPod() {
  const relay = relayObject();
  const objects = liveObjects(relay);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, status: { observedGeneration: 1 } });
  return settledWorld({ relay, objects, pods: [podView('relay-0', podReport(relay))] });
}

const UNANSWERED: readonly [string, KubeError][] = [
  ['429', new KubeError('unavailable', 'too many requests', 429, 1)],
  ['503', new KubeError('unavailable', 'no', 503)],
  ['nothing in time', new KubeError('unavailable', 'The operation was aborted due to timeout')],
];

for (const [what, error] of UNANSWERED)
  test(`events that are answered by ${what} keep no status back, and are read again`, async () => {
    const deps = recordingDeps((request) => {
      if (isEvents(request)) throw error;
      return {};
    });
    const { lookAgainMs } = await reconcile(lackingPod(), deps);
    const written = deps.requests.find(({ path }) => path.endsWith('/status')) as Request;
    const { status } = written.body as { status: MailRelayStatus };
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.reason], ['False', 'PodsNotReady']);
    assert.equal(lookAgainMs, 30_000);
  });

test('events are not waited for longer than some seconds', async () => {
  const deps = recordingDeps(() => ({}));
  await reconcile(lackingPod(), deps);
  const { timeoutMs = Number.POSITIVE_INFINITY, isDispensable } = deps.requests.find(isEvents) as Request;
  assert.ok(timeoutMs <= 3_000, `${timeoutMs} ms`);
  assert.ok(isDispensable, 'their absence is none of the API server');
});

for (const [answerMs, most] of [
  [2, 100],
  [100, 20],
  [600, 4],
  [3_000, 1],
] as const)
  test(`events that the API server needs ${answerMs} ms for are read ${most} times in 100 looks of ten seconds`, async () => {
    let [now, read] = [0, 0];
    const message = 'pods "relay-1" is forbidden: exceeded quota';
    const deps = recordingDeps((request) => {
      if (!isEvents(request)) return {};
      now += answerMs;
      read += 1;
      return { items: [{ ...creates('FailedCreate', 1, 1), message }] };
    });
    const readEvents = new ReadEvents(() => now);
    for (let look = 0; look < 100; look += 1) {
      now = Math.max(now, look * 100);
      await reconcile(lackingPod(), { ...deps, readEvents });
    }
    const written = deps.requests.filter(({ path }) => path.endsWith('/status'));
    assert.equal(written.length, 100);
    for (const { body } of written) assert.match(JSON.stringify(body), /exceeded quota/);
    assert.ok(read <= most && read > most / 2, `${read} reads`);
  });

test('of several complaints the order is that of the objects, whichever events are answered first', async () => {
  const world = lackingPod();
  const name = 'spool-relay-1';
  const claim = {
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'mail', uid: 'c' },
    status: { phase: 'Pending' },
  };
  const objects = new Map(world.objects).set(`PersistentVolumeClaim/${name}`, claim);
  const reader = {
    request: async <T>({ query }: Request) => {
      if (query?.['fieldSelector']?.includes('kind=StatefulSet')) await new Promise(setImmediate);
      return { items: [event('Warning', 'FailedCreate')] } as T;
    },
  };
  const { complaints } = await new ReadEvents(() => 0).complaints(reader, { ...world, objects });
  assert.deepEqual(
    complaints.map(({ object }) => object),
    ['StatefulSet/relay', `PersistentVolumeClaim/${name}`],
  );
});

test('what the events told of an object is not told of another one in its place, or of a relay that is forgotten', async () => {
  let now = 0;
  const readEvents = new ReadEvents(() => now);
  const items = [creates('FailedCreate', 1, 1)];
  const reader = {
    request: async <T>() => {
      now += 5_000;
      return { items } as T;
    },
  };
  const world = lackingPod();
  const count = async (of: typeof world) => (await readEvents.complaints(reader, of)).complaints.length;
  assert.deepEqual([await count(world), await count(world)], [1, 1]);
  const set = world.objects.get('StatefulSet/relay') as KubeObject;
  const objects = new Map(world.objects).set('StatefulSet/relay', {
    ...set,
    metadata: { ...set.metadata, uid: 'another' },
  });
  assert.equal(await count({ ...world, objects }), 0);
  assert.equal(await count(world), 0, 'of the one before nothing is kept');
  now += 600_000;
  assert.equal(await count(world), 1);
  readEvents.forget('mail/relay');
  assert.equal(await count(world), 0);
});

const relay = relayObject();
/** One pod of two does not start; `changes` say what is known of it. */
function slowPod(changes: object) {
  const objects = liveObjects(relay);
  objects.set('Pod/relay-1', { kind: 'Pod', metadata: { name: 'relay-1', namespace: 'mail', uid: 'u' } });
  const settled = settledWorld({ relay, objects });
  const pod = podView('relay-1', undefined, { ready: false, uid: 'u', ...changes });
  return { ...settled, pods: [podView('relay-0', podReport(relay)), pod] };
}
const { now } = settledWorld();
const trouble = { reason: 'x', message: 'x', isStuck: false };

for (const [what, changes, isAsked] of [
  ['does not start', { notReadySince: now - 30_000 }, true],
  ['has just begun', { notReadySince: now - 5_000 }, false],
  ['has no node', {}, false],
  ['has told its trouble', { notReadySince: now - 60_000, trouble }, false],
  ['ends', { notReadySince: now - 60_000, deleting: true }, false],
  [
    'says itself why',
    { notReadySince: now - 60_000, report: podReport(relay, { notReady: ['the disk is full'] }) },
    false,
  ],
] as const)
  test(`the events of a pod that ${what} are ${isAsked ? '' : 'not '}read, and it is looked at again`, async () => {
    const deps = recordingDeps((request) => (isEvents(request) ? {} : notFound(request)));
    const { lookAgainMs } = await reconcile(slowPod(changes), deps);
    const asked = deps.requests.filter(isEvents).map(({ query }) => query?.['fieldSelector']);
    assert.deepEqual(
      asked,
      isAsked ? ['involvedObject.kind=Pod,involvedObject.name=relay-1,involvedObject.uid=u'] : [],
    );
    assert.equal(lookAgainMs, 30_000);
  });

test('a settled relay asks for no events, and needs no other look', async () => {
  const deps = recordingDeps(() => ({}));
  const { lookAgainMs } = await reconcile(settledWorld(), deps);
  assert.deepEqual([deps.requests.filter(isEvents), lookAgainMs], [[], undefined]);
});

const event = (type: string, reason: string, minutesAgo = 1): KubeEvent => ({
  metadata: { name: 'e' },
  type,
  reason,
  message: `says ${reason}`,
  lastTimestamp: new Date(now - minutesAgo * 60_000).toISOString(),
});
const creates = (reason: string, pod: number, minutesAgo: number): KubeEvent => ({
  ...event(reason.startsWith('Failed') ? 'Warning' : 'Normal', reason, minutesAgo),
  message: `create Pod relay-${pod} in StatefulSet relay says more`,
});
/** The scheduler and others write the time of the first event, and that of the last one apart. */
const repeated = (minutesAgo: number): Partial<KubeEvent> => {
  const { lastTimestamp: lastObservedTime = null, ...first } = event('Warning', 'x', minutesAgo);
  return { eventTime: first.eventTime ?? null, lastTimestamp: null, series: { lastObservedTime } };
};
const BINDING = event('Normal', 'FailedBinding');
const PROVISIONING = event('Normal', 'ExternalProvisioning', 0);

for (const [what, events, ageMinutes, reason] of [
  ['no StorageClass', [BINDING], 5, 'FailedBinding'],
  ['a provisioner that does not run', [PROVISIONING], 5, 'ExternalProvisioning'],
  ['a volume that is being made', [PROVISIONING], 0.2, undefined],
  [
    'a provisioner that says more',
    [PROVISIONING, event('Warning', 'ProvisioningFailed', 5)],
    5,
    'ProvisioningFailed',
  ],
  ['a volume that waits for a pod', [event('Normal', 'WaitForFirstConsumer')], 5, undefined],
  [
    'a volume that is elsewhere',
    [event('Warning', 'FailedAttachVolume'), event('Normal', 'Scheduled')],
    1,
    'FailedAttachVolume',
  ],
  ['a probe that alone tells why', [event('Warning', 'Unhealthy')], 5, 'Unhealthy'],
  [
    'a probe, and more',
    [event('Warning', 'Unhealthy'), event('Warning', 'FailedMount', 9)],
    15,
    'FailedMount',
  ],
  ['a probe of before', [event('Warning', 'Unhealthy', 5), event('Normal', 'Started')], 6, undefined],
  ['what is long ago', [event('Warning', 'FailedMount', 30)], 40, undefined],
  [
    'a mount that worked later',
    [event('Warning', 'FailedMount', 10), event('Normal', 'Started', 9)],
    15,
    undefined,
  ],
  [
    'a volume that was attached later',
    [event('Warning', 'FailedAttachVolume', 15), event('Normal', 'SuccessfulAttachVolume', 11)],
    20,
    undefined,
  ],
  [
    'a mount that fails after the attachment',
    [event('Normal', 'SuccessfulAttachVolume', 11), event('Warning', 'FailedMount', 2)],
    20,
    'FailedMount',
  ],
  [
    'a volume that was made later',
    [event('Warning', 'ProvisioningFailed', 5), event('Normal', 'ProvisioningSucceeded')],
    6,
    undefined,
  ],
  [
    'a pod that was made later',
    [creates('FailedCreate', 1, 5), creates('SuccessfulCreate', 1, 4)],
    9,
    undefined,
  ],
  ['another pod', [creates('FailedCreate', 1, 5), creates('SuccessfulCreate', 0, 4)], 9, 'FailedCreate'],
  [
    'a warning that is repeated',
    [{ ...event('Warning', 'FailedMount', 30), ...repeated(2) }],
    40,
    'FailedMount',
  ],
] as const)
  test(`of the events of ${what}, ${reason ?? 'none'} is told`, () => {
    const creationTimestamp = new Date(now - ageMinutes * 60_000).toISOString();
    const object = { kind: 'X', metadata: { name: 'x', creationTimestamp } } as KubeObject;
    assert.equal(pickComplaint(events, object, now)?.reason, reason);
  });

const probe = (fieldPath: string): KubeEvent => ({
  ...event('Warning', 'Unhealthy'),
  message: 'Readiness probe failed: HTTP probe failed with statuscode: 503',
  involvedObject: { fieldPath },
});
for (const [what, fieldPath, words] of [
  [
    'another container',
    'spec.containers{istio-proxy}',
    'container istio-proxy: Readiness probe failed: HTTP ',
  ],
  ['a sidecar', 'spec.initContainers{resolver}', 'container resolver: Readiness probe failed: HTTP '],
  ['the relay, which says that it is ready', 'spec.containers{relay}', 'Readiness probe failed: HTTP '],
] as const)
  test(`a pod that is not ready by the probe of ${what} is told with it`, async () => {
    const world = slowPod({ notReadySince: now - 60_000, report: podReport(relay) });
    const reader = { request: async <T>() => ({ items: [probe(fieldPath)] }) as T };
    const { complaints } = await new ReadEvents(() => 0).complaints(reader, world);
    assert.equal(
      podsNotReady({ ...world, complaints, obstacles: [] })?.message,
      `1 of 2 pods are ready; Pod/relay-1: Unhealthy: ${words}probe failed with statuscode: 503: see the log of that container, and whether the node reaches the port of the probe`,
    );
  });

test('the port at which a kubelet asks is not told, because it is another each time', () => {
  const said = (port: number) =>
    `Readiness probe failed: Get "http://10.0.0.5:9090/readyz": read tcp 10.0.0.1:${port}->10.0.0.5:9090: read: connection reset by peer`;
  const object = { kind: 'Pod', metadata: { name: 'relay-0' } } as KubeObject;
  const [one, other] = [40_001, 40_002].map((port) =>
    pickComplaint([{ ...event('Warning', 'Unhealthy'), message: said(port) }], object, now),
  );
  assert.match(one?.message ?? '', /read tcp 10\.0\.0\.5:9090: read: connection reset/);
  assert.deepEqual(one, other);
});

test('a pod that leaves and does not come to its end is looked at again, because no watch tells of it', async () => {
  const settled = settledWorld({ relay });
  for (const changes of [{ ready: false }, { deleting: true }]) {
    const leaving = [podView('relay-2', undefined, { serving: 'false', ...changes })];
    const { lookAgainMs } = await reconcile({ ...settled, leaving }, recordingDeps(notFound));
    assert.ok(lookAgainMs !== undefined && lookAgainMs <= 30_000, JSON.stringify(changes));
  }
});
