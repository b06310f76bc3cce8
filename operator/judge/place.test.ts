/** Which places may be given up when a relay scales in: one table over pods, claims and reports. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import type { PodView, World } from '../world.ts';
import { judge } from './chain.ts';
import { holdObject, holdScaling, type Refused } from './holdback.ts';
import { planScaling } from './scaling.ts';

const relay = relayObject();
const order = scaleOrder(relay.metadata);
const UID = 'uid-of-relay-2';
const DELETED = '2026-01-01T00:00:00Z';
const NONE: Refused = { labels: false, serving: false, marks: [] };
const QUEUE = { oldestSeconds: 5, deferrals: [], loginsRefused: [] };

const reportOf = (state: 'Emptied' | 'HandingOver', depth: number, changes: Partial<PodStatus> = {}) =>
  podReport(relay, {
    evacuation: { state, message: null, order },
    queue: { ...QUEUE, depth, held: 0 },
    ...changes,
  });

function claim(n: number, mark?: string, changes: Partial<KubeObject['metadata']> = {}): KubeObject {
  const annotations = mark === undefined ? {} : { annotations: { [ANNOTATIONS.emptied]: mark } };
  const metadata = {
    name: `spool-relay-${n}`,
    namespace: 'mail',
    uid: `uid-of-claim-${n}`,
    ...annotations,
    ...changes,
  };
  return { kind: 'PersistentVolumeClaim', metadata, spec: {}, status: { phase: 'Bound' } };
}

/** Of a relay that wants two pods, unless it is another one; the StatefulSet has three places. */
function world(
  third: { pod?: PodView | undefined; claim?: KubeObject | undefined },
  of = relay,
  places = 3,
): World {
  const objects = liveObjects(of);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: places } });
  for (const one of [claim(0), claim(1), ...(third.claim ? [third.claim] : [])])
    objects.set(`PersistentVolumeClaim/${one.metadata.name}`, one);
  const [pods, third_] = [settledWorld().pods, third.pod ? [third.pod] : []];
  return of.spec.replicas > 2
    ? settledWorld({ relay: of, objects, pods: [...pods, ...third_] })
    : settledWorld({ relay: of, objects, pods, leaving: third_ });
}

const CLAIMS = {
  absent: undefined,
  hidden: undefined,
  there: claim(2),
  going: claim(2, undefined, { deletionTimestamp: DELETED }),
  marked: claim(2, UID),
  'marked, going': claim(2, UID, { deletionTimestamp: DELETED }),
} as const;

const emptied = reportOf('Emptied', 0);
const mail = reportOf('HandingOver', 500);
const [starting, ending] = [
  { ip: undefined, hasRun: false, ready: false },
  { deleting: true, ready: false },
];

const NEVER = ['-', 'keep', 'keep', '-', '-', '-'];
const SILENT = ['keep', 'keep', 'keep', 'keep', '-', '-'];

/** `keep`: the place stays. `mark`: it stays for now, and the claim gets the mark. `-`: it goes. */
const TABLE: readonly (readonly [string, PodView | undefined, readonly string[]])[] = [
  ['no pod', undefined, ['-', 'keep', 'keep', '-', '-', '-']],
  ['never started', podView('relay-2', undefined, starting), NEVER],
  ['has an address, never ran', podView('relay-2', undefined, { ...starting, ip: '10.0.0.1' }), NEVER],
  ['has run, has no address', podView('relay-2', undefined, { ...starting, hasRun: true }), SILENT],
  ['silent', podView('relay-2', undefined), SILENT],
  ['ready, has mail', podView('relay-2', mail), ['keep', 'keep', 'keep', 'keep', 'keep', 'keep']],
  ['ready, Emptied', podView('relay-2', emptied), ['-', 'keep', 'mark', 'mark', '-', '-']],
  ['ending, silent', podView('relay-2', undefined, ending), ['-', 'keep', 'keep', '-', '-', '-']],
  ['ending, has mail', podView('relay-2', mail, ending), ['-', 'keep', 'keep', '-', 'keep', '-']],
  ['ending, Emptied', podView('relay-2', emptied, ending), ['-', 'keep', 'mark', 'mark', '-', '-']],
];

describe('a place is given up only if no mail goes with it', () => {
  for (const [what, pod, expected] of TABLE)
    for (const [nth, [state, live]] of Object.entries(CLAIMS).entries())
      test(`pod: ${what}; claim: ${state}: ${expected[nth]}`, () => {
        const seen = world({ pod, claim: live });
        // The labels of a hidden claim are refused. That the claim is looked for shows claimlabels.test.ts.
        const plan = holdScaling(seen, planScaling(seen), { ...NONE, labels: state === 'hidden' });
        const isMarked = plan.marked.length > 0;
        const found = plan.replicas < 3 ? '-' : isMarked ? 'mark' : 'keep';
        // A pod that is ending keeps no place for a claim that goes with it; the word is written all the same.
        const isWordOnly = isMarked && plan.replicas < 3;
        assert.equal(isWordOnly ? 'mark' : found, expected[nth]);
      });

  test('a stranger of the name keeps the place, also of a claim that is marked or going', () => {
    const strangers = [{ kind: 'Pod', metadata: { name: 'relay-2' } }];
    for (const state of ['there', 'going', 'marked', 'marked, going'] as const)
      assert.equal(planScaling({ ...world({ claim: CLAIMS[state] }), strangers }).replicas, 3, state);
  });
});

describe('a claim that is being deleted', () => {
  const told = (seen: World) => judge({ ...seen, obstacles: [] });

  test('is told of while the pod that leaves may still have mail, with what it has', () => {
    for (const report of [undefined, mail]) {
      const { QueueHealthy, Reconciling } = told(
        world({ pod: podView('relay-2', report), claim: CLAIMS.going }),
      );
      assert.equal(Reconciling?.reason, 'ScalingIn');
      assert.equal(QueueHealthy?.reason, 'ClaimDeleted');
      assert.match(String(QueueHealthy?.message), /set .*Retain on the volume.*; the pod leaves when/);
    }
    for (const pod of [podView('relay-2', mail, ending), undefined])
      assert.notEqual(told(world({ pod, claim: CLAIMS.going })).QueueHealthy?.reason, 'ClaimDeleted');
  });

  const three = relayObject({ replicas: 3 });
  const wanted = (pod: PodView | undefined, live: KubeObject) => {
    const seen = world({ pod, claim: live }, three);
    return [planScaling(seen).unmarked.length, told(seen).QueueHealthy?.reason];
  };

  test('keeps its mark while no pod writes to it, and is no loss', () => {
    const gone = podView('relay-2', undefined, ending);
    for (const pod of [gone, undefined, podView('relay-2', undefined, { ...starting, uid: 'another' })]) {
      const [unmarked, reason] = wanted(pod, CLAIMS['marked, going']);
      assert.equal(unmarked, 0);
      assert.notEqual(reason, 'ClaimDeleted');
    }
  });

  test('loses its mark when a pod that runs is wanted again, and then it is told', () => {
    const pod = podView('relay-2', podReport(three));
    assert.equal(wanted(pod, CLAIMS['marked, going'])[0], 1);
    assert.deepEqual(wanted(pod, CLAIMS.going), [0, 'ClaimDeleted']);
    const another = podView('relay-2', podReport(three), { uid: 'another' });
    assert.deepEqual(wanted(another, CLAIMS['marked, going']), [1, 'ClaimDeleted']);
  });
});

test('the mail of pods that leave counts in what is said of the queues', () => {
  const held = reportOf('HandingOver', 0, { queue: { ...QUEUE, depth: 0, held: 3 } });
  const reasonOf = (report: PodStatus) =>
    judge({ ...world({ pod: podView('relay-2', report), claim: CLAIMS.there }), obstacles: [] }).QueueHealthy;
  assert.equal(reasonOf(held)?.reason, 'MailHeld');
  assert.equal(reasonOf(mail)?.message, 'Mail goes out');
});

describe('a mark that cannot be removed', () => {
  const { metadata, ...rest } = relayObject({ replicas: 5 });
  const five = { ...rest, metadata: { ...metadata, generation: metadata.generation + 1 } };
  const replicas = (of: typeof relay, places: number | undefined, marks: readonly string[]) => {
    const seen = world({ claim: claim(4, 'u') }, of, places);
    const objects = new Map(seen.objects);
    if (places === undefined) objects.delete('StatefulSet/relay');
    return holdScaling({ ...seen, objects }, planScaling(seen), { ...NONE, marks }).replicas;
  };
  const named = (n: number) => `PersistentVolumeClaim/spool-relay-${n}`;

  test('holds its own place and those above it, and no pod that is there', () => {
    assert.equal(replicas(five, 2, [named(4)]), 4);
    assert.equal(replicas(five, 2, [named(4), named(3)]), 3);
    assert.equal(replicas(five, 2, [named(0)]), 2, 'pods that are there stay');
    assert.equal(replicas(five, 2, []), 5);
    assert.equal(replicas(five, undefined, [named(4)]), 4);
    assert.equal(replicas(five, undefined, [named(1)]), 2, 'without the StatefulSet its pods stay');
    assert.equal(replicas(relay, 0, [named(1)]), 1, 'somebody scaled the StatefulSet by hand');
  });

  test('tells as many pods to stay, under the name of the order before', () => {
    const { objects } = world({ claim: claim(4, 'u') });
    const wanted = liveObjects(five).get('ConfigMap/relay-policy');
    assert.ok(wanted);
    const read = (of: { readonly [field: string]: unknown } | undefined) =>
      JSON.parse((of?.['data'] as Record<string, string> | undefined)?.['scale.v1.json'] ?? '{}');
    const scaleOf = (marks: readonly string[]) =>
      read(holdObject({ relay: five, objects }, wanted as never, { ...NONE, marks }));
    const before = read(objects.get('ConfigMap/relay-policy'));
    const held = scaleOf([named(4)]);
    assert.deepEqual([held.replicas, held.siblings.length, held.order], [4, 4, order]);
    assert.deepEqual(scaleOf([named(0)]), before);
    assert.equal(scaleOf([]).replicas, 5);
  });
});

describe('a claim in phase Lost: its volume was deleted', () => {
  const lost = (mark?: string): KubeObject => ({
    ...claim(2, mark),
    spec: { volumeName: 'pvc-7' },
    status: { phase: 'Lost' },
  });
  const three = relayObject({ replicas: 3 });
  const healthy = (of: typeof relay, pod: PodView | undefined, live = lost()) =>
    judge({ ...world({ pod, claim: live }, of), obstacles: [] }).QueueHealthy;

  test('is told of while a pod runs on it', () => {
    const wanted = healthy(three, podView('relay-2', podReport(three)));
    assert.equal(wanted?.reason, 'ClaimLost');
    assert.match(
      String(wanted?.message),
      /spool-relay-2 has lost its volume pvc-7, and with the next end of pod relay-2 its mail is lost: .*delete the claim and then the pod/,
    );
    const leaves = healthy(relay, podView('relay-2', mail));
    assert.equal(leaves?.reason, 'ClaimLost');
    assert.match(String(leaves?.message), /the pod leaves when its queue is empty/);
  });

  test('is not where no pod runs on it, or the pod said that it is empty', () => {
    for (const [pod, mark] of [
      [undefined, undefined],
      [podView('relay-2', undefined, starting), undefined],
      [podView('relay-2', emptied), UID],
    ] as const)
      assert.notEqual(healthy(relay, pod, lost(mark))?.reason, 'ClaimLost');
  });
});
