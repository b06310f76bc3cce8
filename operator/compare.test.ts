/**
 * Which changes of a live object are a difference, and which are additions of others that an apply would not remove.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { covers, isUpToDate, stamped } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import { renderAll } from './render/index.ts';

const relay = relayObject();
const settings = { ...SETTINGS, imagePullSecrets: ['registry'] };
const wanted = new Map(
  renderAll(relay, effectivePolicy(relay.metadata, relay.spec), settings).map((object) => [
    `${object.kind}/${object.metadata.name}`,
    object,
  ]),
);

type Field = Record<string, unknown> | unknown[];

/** Adds the entry at the beginning of every list of this name. */
function withEntry(value: unknown, list: string, entry: object): unknown {
  if (Array.isArray(value)) return value.map((item) => withEntry(item, list, entry));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value as Field).map(([name, inner]) => {
      const walked = withEntry(inner, list, entry);
      return [name, name === list && Array.isArray(walked) ? [entry, ...walked] : walked];
    }),
  );
}

function isUpToDateWith(object: string, list: string, entry: object): boolean {
  const own = wanted.get(object);
  assert.ok(own, object);
  const live = withEntry(stamped(own), list, entry);
  assert.notDeepEqual(live, stamped(own), `${object} has no ${list}`);
  return isUpToDate(live as KubeObject, own);
}

const SPREAD = { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' };
const STAYS: readonly [string, string, object][] = [
  ['StatefulSet/relay', 'env', { name: 'HTTPS_PROXY', value: 'http://proxy.example' }],
  ['StatefulSet/relay', 'ownerReferences', { kind: 'Application', name: 'all', uid: 'other' }],
  ['StatefulSet/relay', 'imagePullSecrets', { name: 'mirror' }],
  ['StatefulSet/relay', 'topologySpreadConstraints', SPREAD],
  ['StatefulSet/relay', 'containers', { name: 'sidecar', image: 'sidecar' }],
  ['StatefulSet/relay', 'volumes', { name: 'other', emptyDir: {} }],
  ['StatefulSet/relay', 'volumeMounts', { name: 'other', mountPath: '/other' }],
  ['StatefulSet/relay', 'ports', { name: 'mesh', containerPort: 15_090, protocol: 'TCP' }],
  ['Service/relay', 'ports', { name: 'udp', port: 25, protocol: 'UDP' }],
];

const GOES: readonly [string, string, object][] = [
  ['StatefulSet/relay', 'args', {}],
  ['StatefulSet/relay', 'drop', {}],
  ['NetworkPolicy/relay', 'ports', { protocol: 'TCP', port: 1 }],
  ['NetworkPolicy/relay', 'from', { podSelector: {} }],
];

describe('an entry beside ours', () => {
  for (const [object, list, entry] of STAYS)
    test(`in ${list} of ${object} stays, and is no difference`, () => {
      assert.ok(isUpToDateWith(object, list, entry));
    });

  for (const [object, list, entry] of GOES)
    test(`in ${list} of ${object} is a difference: the API server takes the list as one`, () => {
      assert.ok(!isUpToDateWith(object, list, entry));
    });
});

test('a default that the API server does not store is no difference, and another value in its place is one', () => {
  const wanted = { publishNotReadyAddresses: false };
  assert.ok(covers({}, wanted));
  assert.ok(!covers({ publishNotReadyAddresses: true }, wanted));
  assert.ok(!covers({}, { publishNotReadyAddresses: true }));
  assert.ok(covers({}, { minReadySeconds: 0 }));
  assert.ok(!covers({ minReadySeconds: 86_400 }, { minReadySeconds: 0 }));
  assert.ok(!covers({}, { automountServiceAccountToken: false }), 'without a value it is true');
});
