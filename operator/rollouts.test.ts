import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { liveObjects, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from './kube/client.ts';
import { type Rendered, renderAll } from './render/index.ts';
import { Rollouts } from './rollouts.ts';
import type { World } from './world.ts';

const NEWER = { ...SETTINGS, relayImage: 'registry.example/mailrelay:2.0.0' };
const MINUTE_MS = 60_000;

function relayCalled(name: string, observedGeneration = 3, namespace = 'mail') {
  const relay = relayObject();
  return { ...relay, metadata: { ...relay.metadata, name, namespace }, status: { observedGeneration } };
}

/** A relay whose pods are as an operator with `settings` wants them. */
function makeWorld(
  name: string,
  { settings = SETTINGS, revision = 'a', observed = 3, later = 0, namespace = 'mail' } = {},
): World {
  const relay = relayCalled(name, observed, namespace);
  const objects = liveObjects(relay);
  const key = `StatefulSet/${name}`;
  const live = objects.get(key) as KubeObject;
  const { spec } = renderSet(relay, settings);
  const status = { observedGeneration: 1, currentRevision: 'a', updateRevision: revision };
  objects.set(key, { ...live, spec, status });
  const world = settledWorld({ relay, objects });
  return { ...world, now: world.now + later };
}

function renderSet(relay: World['relay'], settings = NEWER): Rendered {
  const all = renderAll(relay, effectivePolicy(relay.metadata, relay.spec), settings);
  return all.find(({ kind }) => kind === 'StatefulSet') as Rendered;
}

const templateOf = (set: unknown) => (set as { spec: { template: unknown } }).spec.template;

const waits = (rollouts: Rollouts, world: World) => rollouts.inTurn(world, renderSet(world.relay)).waits;

describe('replacing the pods of many relays', () => {
  test('a few at a time; the next one when one has done', () => {
    const rollouts = new Rollouts(2);
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => waits(rollouts, makeWorld(name))),
      [false, false, true],
    );
    // A second question during the rollout changes nothing.
    assert.equal(waits(rollouts, makeWorld('a', { settings: NEWER, revision: 'b' })), false);
    assert.equal(waits(rollouts, makeWorld('c')), true);
    assert.equal(waits(rollouts, makeWorld('a', { settings: NEWER })), false);
    assert.equal(waits(rollouts, makeWorld('c')), false);
    assert.equal(waits(rollouts, makeWorld('d')), true);
  });

  test('relays of one namespace that roll without end leave turns to those of others', () => {
    const told: string[] = [];
    const rollouts = new Rollouts(4, (key) => told.push(key));
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    // Their users change them, so none of them waits.
    for (const name of names)
      waits(rollouts, makeWorld(name, { settings: NEWER, revision: 'b', namespace: 'noisy' }));
    assert.deepEqual(
      names.slice(0, 4).map((name) => waits(rollouts, makeWorld(name))),
      [false, false, true, true],
    );
    assert.equal(waits(rollouts, makeWorld('z', { namespace: 'noisy' })), true);
    waits(rollouts, makeWorld('a', { settings: NEWER }));
    assert.deepEqual(told, ['mail/c']);
  });

  test('a StatefulSet that somebody else made in the place of ours is no rollout', () => {
    const world = makeWorld('a');
    const objects = new Map(world.objects);
    const { metadata, ...rest } = objects.get('StatefulSet/a') as KubeObject;
    const { ownerReferences: _, labels: __, ...foreign } = metadata;
    const rollouts = new Rollouts(1);
    const partial = { kind: 'StatefulSet', metadata: foreign, isPartial: true };
    rollouts.learn('mail/a', new Map([['StatefulSet/a', partial]]), world.now);
    // It is read by name, so it is known.
    objects.set('StatefulSet/a', { ...rest, metadata: foreign, status: { currentRevision: 'rolls' } });
    assert.equal(waits(rollouts, { ...world, objects }), false);
    assert.equal(waits(rollouts, makeWorld('b')), false);
  });

  test('who waits longest is told when a turn ends, and the one after it when that has none to take', () => {
    const told: string[] = [];
    const rollouts = new Rollouts(1, (key) => told.push(key));
    for (const name of ['a', 'b', 'c', 'd']) waits(rollouts, makeWorld(name));
    assert.deepEqual(told, []);
    waits(rollouts, makeWorld('a', { settings: NEWER }));
    assert.deepEqual(told, ['mail/b']);
    // The older operator may be back, or the MailRelay may be deleted.
    waits(rollouts, makeWorld('b', { settings: NEWER }));
    assert.deepEqual(told, ['mail/b', 'mail/c']);
    rollouts.forget('mail/c', makeWorld('c').now);
    assert.deepEqual(told, ['mail/b', 'mail/c', 'mail/d']);
    assert.equal(waits(rollouts, makeWorld('d')), false);
  });

  test('the one that waits keeps its template, and is scaled all the same', () => {
    const rollouts = new Rollouts(0);
    const world = makeWorld('a');
    const wanted = renderSet({ ...world.relay, spec: { ...world.relay.spec, replicas: 5 } });
    const { set } = rollouts.inTurn(world, wanted);
    const { spec } = set as unknown as { spec: { replicas: number; template: unknown } };
    assert.equal(spec.replicas, 5);
    assert.deepEqual(
      spec.template,
      (world.objects.get('StatefulSet/a') as { spec?: { template: unknown } }).spec?.template,
    );
  });

  test('an edit or a step of an autoscaler is no turn', () => {
    const world = makeWorld('a', { observed: 2 });
    const { set, waits: itWaits } = new Rollouts(0).inTurn(world, renderSet(world.relay));
    assert.equal(itWaits, true);
    assert.deepEqual(templateOf(set), templateOf(world.objects.get('StatefulSet/a')));
  });

  test('what a user wants mounted is mounted at once, by the pods that there are', () => {
    const world = makeWorld('a', { observed: 2 });
    const inbound = { listeners: [{ name: 'smtp', port: 25 }] };
    const relay = { ...world.relay, spec: { ...world.relay.spec, inbound, tls: { secretName: 'users' } } };
    const { set, waits: itWaits } = new Rollouts(0).inTurn({ ...world, relay }, renderSet(relay));
    assert.equal(itWaits, true);
    assert.deepEqual(templateOf(set), templateOf(renderSet(relay, SETTINGS)));
    // Without a new template of the operator the relay does not wait.
    assert.equal(new Rollouts(0).inTurn({ ...world, relay }, renderSet(relay, SETTINGS)).waits, false);
  });

  const sidecarOf = (image: string) => ({ outbound: { resolver: { sidecar: { image } } } });
  const EDITS: readonly (readonly [what: string, before: object, after: object])[] = [
    ['pod', {}, { pod: { nodeSelector: { disk: 'fast' } } }],
    ['a first sidecar', {}, sidecarOf('unbound:1')],
    ['another image of the sidecar', sidecarOf('unbound:1'), sidecarOf('unbound:2')],
    ['no sidecar any more', sidecarOf('unbound:1'), {}],
    ['a certificate', {}, { tls: { secretName: 'users' } }],
  ];
  for (const [what, before, after] of EDITS) {
    test(`what a user changes of the pods does not wait (${what}); the image does`, () => {
      const rollouts = new Rollouts(0);
      const inForce = (changes: object): World => {
        const world = makeWorld('a');
        const relay = { ...world.relay, spec: { ...world.relay.spec, ...changes } };
        return { ...world, relay, policy: effectivePolicy(relay.metadata, relay.spec) };
      };
      const world = inForce(before);
      // This operator created it, and the relay has waited under this operator before.
      const { set: made } = rollouts.inTurn(
        { ...world, objects: new Map() },
        renderSet(world.relay, SETTINGS),
      );
      const live = { ...world.objects.get('StatefulSet/a'), ...made } as KubeObject;
      const objects = new Map([['StatefulSet/a', live]]);
      const kept = rollouts.inTurn({ ...world, objects }, renderSet(world.relay));
      assert.deepEqual(templateOf(kept.set), templateOf(made));
      const edited = inForce(after);
      const { set, waits: itWaits } = rollouts.inTurn({ ...edited, objects }, renderSet(edited.relay));
      assert.equal(itWaits, true);
      assert.deepEqual(templateOf(set), templateOf(renderSet(edited.relay, SETTINGS)));
    });
  }

  test('a relay with a sidecar that an operator before its own note of the sidecar made waits for its turn', () => {
    const world = makeWorld('a');
    const relay = { ...world.relay, spec: { ...world.relay.spec, ...sidecarOf('unbound:1') } };
    const inForce = { ...world, relay, policy: effectivePolicy(relay.metadata, relay.spec) };
    const { set: made } = new Rollouts(0).inTurn(
      { ...inForce, objects: new Map() },
      renderSet(relay, SETTINGS),
    );
    const { [`mailrelay.dev/wishes-sidecar`]: note, ...annotations } = made.metadata.annotations ?? {};
    assert.ok(note);
    // So did the operators before the note hash it: the sidecar was no part of it.
    assert.equal(annotations['mailrelay.dev/wishes'], '11105b15f6269e81');
    const metadata = { ...world.objects.get('StatefulSet/a')?.metadata, ...made.metadata, annotations };
    const live = { ...world.objects.get('StatefulSet/a'), ...made, metadata } as KubeObject;
    const objects = new Map([['StatefulSet/a', live]]);
    const { set, waits: itWaits } = new Rollouts(0).inTurn({ ...inForce, objects }, renderSet(relay));
    assert.equal(itWaits, true);
    assert.deepEqual(templateOf(set), templateOf(made));
    assert.equal(set.metadata.annotations?.['mailrelay.dev/wishes-sidecar'], note);
  });

  test('what others make of a StatefulSet holds no turn up', () => {
    const rollouts = new Rollouts(1);
    const world = makeWorld('a');
    const { set } = rollouts.inTurn(world, renderSet(world.relay));
    // A webhook replaces the image by that of a mirror at each write.
    const before = world.objects.get('StatefulSet/a') as KubeObject;
    const metadata = { ...before.metadata, ...set.metadata };
    const text = JSON.stringify({ ...before, ...set, metadata });
    const live: KubeObject = JSON.parse(text.replaceAll('registry.example', 'mirror.example'));
    assert.notDeepEqual(templateOf(live), templateOf(set));
    assert.equal(waits(rollouts, makeWorld('b')), true);
    rollouts.inTurn({ ...world, objects: new Map([['StatefulSet/a', live]]) }, renderSet(world.relay));
    assert.equal(waits(rollouts, makeWorld('b')), false);
  });

  test('nothing waits where nothing rolls', () => {
    assert.equal(waits(new Rollouts(0), makeWorld('a', { settings: NEWER })), false);
    const fresh = makeWorld('b');
    assert.equal(waits(new Rollouts(0), { ...fresh, objects: new Map() }), false);
  });

  test('a relay that does not come up holds the others back for ten minutes', () => {
    const rollouts = new Rollouts(1);
    assert.equal(waits(rollouts, makeWorld('a')), false);
    assert.equal(waits(rollouts, makeWorld('b', { later: 9 * MINUTE_MS })), true);
    assert.equal(waits(rollouts, makeWorld('b', { later: 10 * MINUTE_MS })), false);
  });

  test('after a start, relays that roll already are counted', () => {
    const rollouts = new Rollouts(1);
    const rolling = makeWorld('a', { settings: NEWER, revision: 'b' });
    rollouts.learn('mail/a', rolling.objects, rolling.now);
    assert.equal(waits(rollouts, makeWorld('b')), true);
    assert.equal(waits(rollouts, makeWorld('a', { settings: NEWER })), false);
    assert.equal(waits(rollouts, makeWorld('b')), false);
  });
});
