/** When the sidecar of outbound.resolver is asked: not before each pod has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { hashContent, POLICY_FILE_NAME, type Policy, parsePolicy, printPolicy } from '#crds/policyfile.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import type { Lacking } from '../world.ts';
import { judge } from './chain.ts';

const SIDECAR = { outbound: { resolver: { sidecar: { image: 'unbound:1' } } } };
const policyOf = (changes: object) => {
  const relay = relayObject(changes as Record<string, unknown>);
  return effectivePolicy(relay.metadata, relay.spec);
};

/** The pods `with` have the sidecar, those `without` have none; the objects are as an operator left them. */
const owner = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };

function gatheredWith(
  wanted: object,
  live: object,
  {
    template = wanted,
    withIt = [],
    without = [],
    others = [],
    specOnly = [],
    counted = 2,
    places = 2,
    map = (one) => one,
    lacking,
  }: {
    template?: object;
    withIt?: number[];
    without?: number[];
    others?: number[];
    specOnly?: readonly (readonly [number, readonly object[] | undefined])[];
    counted?: number;
    places?: number;
    map?: (live: KubeObject) => KubeObject | undefined;
    lacking?: Lacking;
  },
) {
  const relay = relayObject(wanted as Record<string, unknown>);
  const objects = liveObjects(relayObject(live as Record<string, unknown>));
  const policyMap = map(objects.get('ConfigMap/relay-policy') as KubeObject);
  if (policyMap) objects.set('ConfigMap/relay-policy', policyMap);
  else objects.delete('ConfigMap/relay-policy');
  const set = liveObjects(relayObject(template as Record<string, unknown>)).get(
    'StatefulSet/relay',
  ) as KubeObject;
  const status = { ...(set['status'] as object), replicas: counted };
  const spec = { ...(set['spec'] as object), replicas: places };
  objects.set('StatefulSet/relay', { ...set, spec, status });
  for (const n of [...withIt, ...without, ...others]) {
    const initContainerStatuses = withIt.includes(n) ? [{ name: 'resolver' }] : [];
    objects.set(`Pod/relay-${n}`, {
      kind: 'Pod',
      metadata: {
        name: `relay-${n}`,
        namespace: 'mail',
        uid: `u${n}`,
        ownerReferences: others.includes(n) ? [] : [owner],
      },
      status: { initContainerStatuses },
    });
  }
  for (const [n, initContainers] of specOnly) {
    const metadata = { name: `relay-${n}`, namespace: 'mail', uid: `u${n}`, ownerReferences: [owner] };
    const spec = initContainers && { spec: { initContainers } };
    objects.set(`Pod/relay-${n}`, { kind: 'Pod', metadata, ...spec, status: { phase: 'Pending' } });
  }
  return gathered({ relay: () => relay, objectsOf: () => objects }, {}, lacking);
}

test('a policy names the sidecar when the template and each pod have it, and not before', () => {
  const former = { outbound: { resolver: { addresses: ['10.0.0.53'] } } };
  const [before, after] = [policyOf(former).outbound, policyOf(SIDECAR).outbound];
  const asked = (live: object, pods: Parameters<typeof gatheredWith>[2]) => {
    const outbound = gatheredWith(SIDECAR, live, pods)?.policy?.outbound;
    return [outbound?.resolver, outbound?.discover];
  };
  const [old, fresh] = [
    [before.resolver, before.discover],
    [after.resolver, after.discover],
  ];
  assert.deepEqual(asked(former, { template: former, withIt: [0, 1] }), old, 'a pod may be made without it');
  assert.deepEqual(asked(former, { withIt: [1], without: [0] }), old);
  assert.deepEqual(asked(former, { withIt: [0], without: [2] }), old, 'one that leaves delivers too');
  assert.deepEqual(asked(former, { withIt: [0, 1] }), fresh);
  assert.deepEqual(asked({}, { without: [0, 1] }), [null, ['MTASTS']], 'the system was asked');
  // A pod that is made anew has no status yet. Nothing goes back for it.
  assert.deepEqual(asked(SIDECAR, { withIt: [0], without: [1] }), fresh);
});

test('it is not asked while a pod is not seen that is wanted or counted, or one of its names is of somebody else', () => {
  const former = policyOf({}).outbound.resolver;
  for (const seen of [{ withIt: [0] }, { withIt: [] }, { withIt: [0, 1], counted: 3 }])
    assert.deepEqual(gatheredWith(SIDECAR, {}, seen)?.policy?.outbound.resolver, former);
  const world = gatheredWith(SIDECAR, {}, { withIt: [0, 1], others: [2], places: 3 });
  assert.ok(world?.policy);
  assert.deepEqual(world.policy.outbound.resolver, former);
  const policy = { hash: hashContent(world.policy), refused: null };
  const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(world.relay, { policy })));
  assert.match(
    String(judge({ ...world, pods, obstacles: [] }).PolicyApplied?.message),
    /is asked when relay-2, which belongs to someone else, is gone, and the resolver of the system, without DANE, until then/,
  );
});

test('a pod of somebody else beyond the places of the relay holds nothing up', () => {
  const fresh = policyOf(SIDECAR).outbound.resolver;
  for (const other of [2, 5, 99])
    assert.deepEqual(
      gatheredWith(SIDECAR, {}, { withIt: [0, 1], others: [other] })?.policy?.outbound.resolver,
      fresh,
    );
});

/** The ConfigMap after somebody has edited the policy in it. */
function edited(resolver: Policy['outbound']['resolver']) {
  return (live: KubeObject): KubeObject => {
    const data = live['data'] as Record<string, string>;
    const read = parsePolicy(data[POLICY_FILE_NAME] ?? '');
    assert.ok(read.kind === 'policy');
    const discover: Policy['outbound']['discover'] = ['DANE', 'MTASTS'];
    const outbound = { ...read.policy.outbound, resolver, discover };
    const text = printPolicy({ ...read.policy, outbound });
    return { ...live, data: { ...data, [POLICY_FILE_NAME]: text } };
  };
}

test('without the former resolver, or with one that somebody wrote by hand, that of the system is asked', () => {
  const former = { outbound: { resolver: { addresses: ['10.0.0.53'] } } };
  const believed = { servers: [{ address: '203.0.113.66', port: 53 }], trustAD: true };
  for (const map of [() => undefined, edited(believed)])
    for (const pods of [
      { without: [0], withIt: [1] },
      { without: [0, 2], counted: 3 },
    ]) {
      const outbound = gatheredWith(SIDECAR, former, { ...pods, map })?.policy?.outbound;
      assert.deepEqual([outbound?.resolver, outbound?.discover], [null, ['MTASTS']]);
    }
  const { resolver } = policyOf(SIDECAR).outbound;
  const asked = (live: object, seen: Parameters<typeof gatheredWith>[2]) =>
    gatheredWith(SIDECAR, live, seen)?.policy?.outbound.resolver;
  assert.deepEqual(asked(former, { withIt: [0, 1], map: () => undefined }), resolver, 'each pod has it');
  assert.deepEqual(asked(SIDECAR, { without: [0], map: edited(resolver) }), resolver, 'nothing goes back');
});

test('for a pod that is away, or has no status yet, nobody asks that of the system', () => {
  const [fresh, system] = [policyOf(SIDECAR).outbound.resolver, null];
  const asked = (
    seen: Parameters<typeof gatheredWith>[2],
    map: () => KubeObject | undefined = () => undefined,
  ) => gatheredWith(SIDECAR, SIDECAR, { ...seen, map })?.policy?.outbound.resolver;
  const [sidecar, other] = [[{ name: 'resolver' }], [{ name: 'istio' }]];
  assert.deepEqual(asked({ withIt: [0] }), fresh, 'one is away');
  assert.deepEqual(asked({}), fresh, 'all are away, as at the first install');
  assert.deepEqual(asked({ withIt: [0], specOnly: [[1, sidecar]] }), fresh);
  assert.deepEqual(asked({ withIt: [0], specOnly: [[1, undefined]] }), fresh, 'nothing is known of one');
  assert.deepEqual(asked({ withIt: [0], specOnly: [[1, other]] }), system, 'by its spec it lacks it');
  assert.deepEqual(asked({ withIt: [0], without: [1] }), system, 'by its status');
  assert.deepEqual(asked({ withIt: [0], template: {} }), system, 'one may be made without it');
});

test('while the ConfigMap cannot be read, the policy is that of the spec', () => {
  const unread = [
    { kind: 'denied', object: 'ConfigMap/relay-policy', message: 'no', isReading: true },
  ] as const;
  const world = gatheredWith(
    SIDECAR,
    {},
    {
      without: [0, 1],
      map: () => undefined,
      lacking: { found: [], gone: [], unread },
    },
  );
  assert.equal(hashContent(world?.policy), hashContent(policyOf(SIDECAR)));
});

test('the status names the former resolver', () => {
  const former = { outbound: { resolver: { addresses: ['10.0.0.53', '10.0.0.54:5353'] } } };
  const world = gatheredWith(SIDECAR, former, { withIt: [1], without: [0] });
  assert.ok(world?.policy);
  const policy = { hash: hashContent(world.policy), refused: null };
  const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(world.relay, { policy })));
  assert.match(
    String(judge({ ...world, pods, obstacles: [] }).PolicyApplied?.message),
    /and the former resolver 10\.0\.0\.53 and 10\.0\.0\.54:5353 until then$/,
  );
});

test('what others add to the ConfigMap, or take away of its labels, does not count', () => {
  const former = { outbound: { resolver: { addresses: ['10.0.0.53'] } } };
  const map = ({ metadata, ...rest }: KubeObject): KubeObject => ({
    ...rest,
    metadata: { ...metadata, labels: { a: 'b' }, annotations: { ...metadata.annotations, a: 'b' } },
    data: { ...(rest['data'] as object), more: 'x' },
  });
  assert.deepEqual(
    gatheredWith(SIDECAR, former, { without: [0], map })?.policy?.outbound.resolver,
    policyOf(former).outbound.resolver,
  );
});

test('a policy that needs DNSSEC names the sidecar at once: a relay takes it with no other resolver', () => {
  const levels = [
    { tls: { level: 'Dane' } },
    { routes: [{ recipientDomains: ['a.example'], tls: { level: 'Dane' } }] },
    { smartHosts: [{ host: 'hop.example', tls: { level: 'Dane' } }] },
  ];
  for (const level of levels) {
    const wanted = { outbound: { ...SIDECAR.outbound, ...level } };
    assert.deepEqual(
      gatheredWith(wanted, {}, { without: [0] })?.policy?.outbound.resolver,
      policyOf(SIDECAR).outbound.resolver,
    );
    const proven = { outbound: { resolver: { addresses: ['127.0.0.1:5353'], trustAD: true } } };
    assert.deepEqual(
      gatheredWith(wanted, proven, { without: [0] })?.policy?.outbound.resolver,
      policyOf(proven).outbound.resolver,
    );
  }
});

test('another change of the spec does not wait for the sidecar, and neither does a new relay', () => {
  const both = { ...SIDECAR, hostname: 'other.example.com' };
  assert.equal(gatheredWith(both, {}, { without: [0] })?.policy?.hostname, 'other.example.com');
  const world = gathered({ relay: () => relayObject(SIDECAR) });
  assert.equal(hashContent(world?.policy), hashContent(policyOf(SIDECAR)));
});

test('while the sidecar is awaited the status says so, although every pod has the policy', () => {
  const world = gatheredWith(SIDECAR, {}, { withIt: [1], without: [0] });
  assert.ok(world?.policy);
  const policy = { hash: hashContent(world.policy), refused: null };
  const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(world.relay, { policy })));
  const { Ready, PolicyApplied, Reconciling } = judge({ ...world, pods, obstacles: [] });
  const text =
    'outbound.resolver.sidecar is asked when relay-0 has it, and the resolver of the system, without DANE, until then';
  for (const found of [Ready, PolicyApplied])
    assert.deepEqual(found, { status: 'False', reason: 'PolicyPending', message: text });
  assert.deepEqual(Reconciling, { status: 'True', reason: 'PolicyChanging', message: text });
  assert.equal(
    judge({ ...settledWorld({ relay: world.relay }), obstacles: [] }).PolicyApplied?.status,
    'True',
  );
});
