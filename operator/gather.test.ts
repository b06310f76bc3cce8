import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { liveObjects, podReport, relayObject } from '#test/fixtures/world.ts';
import { reduceToKept } from './kept.ts';
import type { KubeObject } from './kube/client.ts';
import { reconcile } from './reconcile.ts';
import type { UnlistedKind, World } from './world.ts';

/** As it is while its StatefulSet is replaced. */
const podNamed = (name: string): KubeObject => ({
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'mail',
    uid: `uid-of-${name}`,
    labels: { 'controller-revision-hash': 'relay-1' },
  },
  spec: {
    serviceAccountName: 'relay',
    volumes: [{ name: 'spool', persistentVolumeClaim: { claimName: `spool-${name}` } }],
  },
});
const owner = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };
/** As it is beside its StatefulSet. */
const ownedPod = (name: string, labels: Readonly<Record<string, string>> = {}): KubeObject => {
  const pod = podNamed(name);
  return { ...pod, metadata: { ...pod.metadata, labels, ownerReferences: [owner] } };
};

test('a pod of another name does not speak for the one of its number, whatever its labels', () => {
  const relay = relayObject();
  const names = ['relay-0', 'relay-2', 'relay-debug-0', 'relay-copy-2', 'relay-02'];
  const objects = names.map((name): [string, KubeObject] => [`Pod/${name}`, podNamed(name)]);
  const world = gathered(
    { objectsOf: () => new Map(objects) },
    { reportOf: () => podReport(relay, { evacuation: { state: 'Emptied', message: null } }) },
  );
  assert.deepEqual(
    [world?.pods, world?.leaving].map((pods) => pods?.map(({ name }) => name)),
    [['relay-0'], ['relay-2']],
  );
});

const own = { pod: 'relay-0', uid: 'uid-of-relay-0', namespace: 'mail', relay: 'relay' };

/** The view of a pod that answers with this identity, under a StatefulSet of this kind. */
function viewWith(
  identity: PodIdentity | undefined,
  set: KubeObject | undefined,
  changes: Partial<PodStatus> = {},
) {
  const objects = new Map([['Pod/relay-0', set ? ownedPod('relay-0') : podNamed('relay-0')]]);
  if (set) objects.set('StatefulSet/relay', set);
  const reportOf = () => podReport(relayObject(), { identity, ...changes });
  return gathered({ objectsOf: () => objects }, { reportOf })?.pods[0];
}

const liveSet = liveObjects(relayObject()).get('StatefulSet/relay') as KubeObject;
const olderSet = JSON.parse(JSON.stringify(liveSet).replace('POD_UID', 'OTHER')) as KubeObject;
const rollingSet = {
  ...liveSet,
  status: { observedGeneration: 1, currentRevision: 'a', updateRevision: 'b' },
};

test('what answers at the address of a pod is believed when it says to be that pod', () => {
  for (const set of [undefined, liveSet, olderSet, rollingSet]) {
    assert.deepEqual(viewWith(own, set)?.report?.identity, own);
    for (const [field, value] of Object.entries({
      pod: 'relay-1',
      uid: 'x',
      namespace: 'other',
      relay: 'r',
    })) {
      const view = viewWith({ ...own, [field]: value }, set);
      assert.equal(view?.report, undefined, field);
      assert.match(view?.stranger ?? '', /^pod relay-[01] of MailRelay (mail|other)\/(relay|r)$/);
    }
  }
});

test('what does not say which pod it is is a stranger, where every pod was told', () => {
  const view = viewWith(undefined, liveSet, { internalAuthority: 'EVIL' });
  assert.equal(view?.report, undefined);
  assert.match(view?.stranger ?? '', /^something that does not say which pod it is$/);
});

test('an older relay, whose template does not tell it, is believed, and nothing of its report is published', () => {
  const certificate = podReport(relayObject()).certificate as NonNullable<PodStatus['certificate']>;
  for (const set of [undefined, olderSet, rollingSet]) {
    const report = viewWith(undefined, set, {
      internalAuthority: 'EVIL',
      nextInternalCertificate: { ...certificate, authority: 'EVIL', follows: null },
      nextCertificate: { ...certificate, secret: 'next' },
      dkimKeys: [{ domain: 'a.example', selector: 's', type: 'ed25519', publicKey: 'EVIL' }],
      servedPolicy: { id: 'EVIL', hosts: [] },
    })?.report;
    assert.equal(report?.ready, true);
    assert.equal(report?.certificate?.serial, certificate.serial);
    assert.doesNotMatch(JSON.stringify(report), /EVIL|publicKeySha256/);
  }
});

test('under a StatefulSet that was made anew around its pods an older relay is believed, and the rest is not', () => {
  const anew = {
    ...liveSet,
    status: { observedGeneration: 1, currentRevision: 'new', updateRevision: 'new', updatedReplicas: 0 },
  };
  const viewOf = (revision: string) => {
    const pod = ownedPod('relay-0', { 'controller-revision-hash': revision });
    const objects = new Map<string, KubeObject>([
      ['Pod/relay-0', reduceToKept(pod, () => undefined)],
      ['StatefulSet/relay', anew],
    ]);
    const reportOf = () => podReport(relayObject(), { internalAuthority: 'EVIL' });
    return gathered({ objectsOf: () => objects }, { reportOf })?.pods[0];
  };
  assert.equal(viewOf('former')?.report?.ready, true);
  assert.equal(viewOf('former')?.report?.internalAuthority, null);
  assert.match(viewOf('new')?.stranger ?? '', /does not say which pod it is/);
});

test('a stored object that breaks a tolerated rule works on, and one that breaks another rule does not', () => {
  const faultsOf = (issuerRef: object) => {
    const world = gathered({ relay: () => relayObject({ tls: { issuerRef } }) });
    return [world?.faults.length, world?.policy !== undefined];
  };
  assert.deepEqual(faultsOf({ name: 'ca', group: 'certmanager.step.sm' }), [0, true]);
  assert.deepEqual(faultsOf({ name: 'ca', kind: 'StepIssuer' }), [1, false]);
});

test('a pod that should have ended says on which node it hangs, and since when a pod starts is known', () => {
  const at = (second: number) => `2026-01-01T00:00:0${second}Z`;
  const ready = { type: 'Ready', status: 'False', lastTransitionTime: at(1) };
  const pod = {
    ...podNamed('relay-0'),
    metadata: { ...podNamed('relay-0').metadata, deletionTimestamp: at(2) },
    spec: { ...(podNamed('relay-0')['spec'] as object), nodeName: 'worker-1' },
    status: { conditions: [ready] },
  };
  const view = gathered(
    { objectsOf: () => new Map([['Pod/relay-0', pod]]) },
    { now: () => Date.parse('2026-01-01T00:01:00Z') },
  )?.pods[0];
  assert.match(view?.trouble?.message ?? '', /^Terminating: it should have ended at .*its node worker-1 is/);
  assert.equal(view?.notReadySince, Date.parse(at(1)));
});

test('the policy of a spec that stays the same is made once', () => {
  const relay = relayObject();
  const policyOf = (changed: typeof relay) => gathered({ relay: () => changed })?.policy;
  const before = policyOf(relay);
  assert.equal(policyOf({ ...relay, status: { ready: '0/2' } }), before);
  const edited = policyOf({ ...relay, spec: { ...relay.spec, hostname: 'other.example.com' } });
  assert.equal(edited?.hostname, 'other.example.com');
  const renamed = policyOf({ ...relay, metadata: { ...relay.metadata, name: 'other' } });
  assert.equal(renamed?.name, 'other');
});

test('of the Secrets of other relays, those that a relay fills itself are known', () => {
  const tls = { secretName: 'shared', issuerRef: { name: 'ca' } };
  const named = (name: string, secretName: string) => {
    const relay = relayObject({ tls: { ...tls, secretName } });
    return { ...relay, metadata: { ...relay.metadata, name, uid: `uid-of-${name}` } };
  };
  const [relay, ...others] = [named('relay', 'shared'), named('second', 'shared'), named('third', 'alone')];
  const world = gathered({
    relay: () => relay,
    relaysIn: () => [relay as NonNullable<typeof relay>, ...others],
  });
  assert.deepEqual(
    world?.filled?.map(({ secret, relay: by }) => [secret, by.metadata.name]),
    [['shared', 'second']],
  );
});

test('a kind that cannot be listed is not taken for one that the cluster lacks', () => {
  const unlisted = [{ kind: 'Certificate', message: 'no' }];
  const world = gathered({
    knows: ({ kind }) => kind === 'PodMonitor',
    listUnlisted: () => ({ unlisted, readByName: [] }),
  });
  assert.deepEqual(world?.unlisted, unlisted);
  assert.deepEqual(world?.absentKinds, ['CertificateRequest', 'DNSEndpoint']);
});

test('a pod with an address has not run before its relay has; a report proves it too', () => {
  const state = { waiting: { reason: 'ImagePullBackOff' } };
  const containerStatuses = [{ name: 'relay', restartCount: 0, state }];
  const pod = (n: number, status: object): KubeObject => ({
    kind: 'Pod',
    metadata: {
      name: `relay-${n}`,
      namespace: 'mail',
      uid: `u${n}`,
      ownerReferences: [{ kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true }],
    },
    status: { phase: 'Pending', ...status },
  });
  const objects = liveObjects(relayObject());
  for (const one of [
    pod(0, { podIP: '10.0.0.1', containerStatuses }),
    pod(1, { containerStatuses: [{ name: 'relay', restartCount: 3, state }] }),
    pod(2, {}),
  ])
    objects.set(`Pod/${one.metadata.name}`, one);
  const reportOf = (namespace: string, name: string, uid: string) =>
    name === 'relay-2'
      ? podReport(relayObject(), { identity: { pod: name, uid, namespace, relay: 'relay' } })
      : undefined;
  const world = gathered({ objectsOf: () => objects }, { reportOf });
  assert.deepEqual(
    [...(world?.pods ?? []), ...(world?.leaving ?? [])].map(({ hasRun }) => hasRun),
    [false, true, true],
  );
});

test('of a kind that is not listed nothing is believed, written or deleted', async () => {
  const relay = relayObject({ tls: { issuerRef: { name: 'ca' } } });
  const metadata = { name: 'relay', namespace: 'mail', uid: 'c', resourceVersion: '1' };
  const owner = { kind: 'MailRelay', name: 'relay', uid: relay.metadata.uid ?? '', controller: true };
  const old: KubeObject = { kind: 'Certificate', metadata: { ...metadata, ownerReferences: [owner] } };
  const of = async (unlisted: readonly UnlistedKind[]) => {
    const objects = liveObjects(relay).set('Certificate/relay', old);
    const caches = {
      relay: () => relay,
      objectsOf: () => objects,
      listUnlisted: () => ({ unlisted, readByName: [] }),
    };
    const world = gathered(caches) as World;
    const deps = recordingDeps((request) =>
      request.path.endsWith('/pods') ? { items: [] } : notFound(request),
    );
    await reconcile(world, deps);
    const written = deps.requests.filter(({ path }) => path.includes('/certificates'));
    const said = JSON.stringify(deps.requests.filter(({ path }) => path.endsWith('/status')));
    return { seen: world.objects.has('Certificate/relay'), written: written.length, said };
  };
  const listed = await of([]);
  assert.deepEqual([listed.seen, listed.written > 0], [true, true]);
  const left = await of([{ kind: 'Certificate', message: 'no rights' }]);
  assert.deepEqual([left.seen, left.written], [false, 0]);
  assert.match(left.said, /does not list Certificates, which stay as they are/);
  assert.doesNotMatch(left.said, /nobody has looked at the Certificate/);
});
