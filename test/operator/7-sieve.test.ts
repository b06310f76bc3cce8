/**
 * Three ways in which a controller sees a wrong world (Sieve, OSDI 2022), for every object of a relay and every action
 * on it: a stale view (watches are silent during the action), a gap (no operator runs during the action), and a crash
 * (during the repair). Each time the world becomes as it was. And nothing is written for a MailRelay
 * that is paused or gone.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { POLICY_FILE_NAME } from '#crds/policyfile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, CONFIG_MAP, type Kind, MAIL_RELAY, OWNED, STATEFUL_SET } from '#operator/kube/kinds.ts';
import type { Call } from '#test/cluster/audit.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';
import { snapshot, whenSame } from './snapshot.ts';
import { Wire, type WireHooks } from './wire.ts';

const SPEC = { replicas: 1, tls: { issuerRef: { name: 'ca' } } };
const OBJECTS: readonly (readonly [string, string])[] = [
  ['ServiceAccount', 'relay'],
  ['ConfigMap', 'relay-policy'],
  ['Certificate', 'relay'],
  ['NetworkPolicy', 'relay'],
  ['PodDisruptionBudget', 'relay'],
  ['Service', 'relay'],
  ['Service', 'relay-pods'],
  ['StatefulSet', 'relay'],
];
const merge = (metadata: object) => ({
  method: 'PATCH' as const,
  contentType: 'application/merge-patch+json',
  body: { metadata },
});
/** Actions of others on an object. */
const CHANGES: Readonly<Record<string, Omit<Parameters<Plane['admin']['request']>[0], 'path'>>> = {
  deleted: {
    method: 'DELETE',
    body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Orphan' },
  },
  unlabelled: merge({ labels: null }),
  disowned: merge({ ownerReferences: null }),
};
/** A silent watch is replaced only after more than a minute, so only the full test has it. */
const WAYS = process.env['MAILRELAY_SOAK']
  ? (['stale', 'gap', 'crash'] as const)
  : (['gap', 'crash'] as const);

describe('a world that is not there', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;
  let wire: Wire;
  const namespaces = Object.keys(CHANGES).flatMap((change) => OBJECTS.map((_, index) => ({ change, index })));
  const inEach = (act: (one: (typeof namespaces)[number]) => Promise<unknown>) =>
    Promise.all(namespaces.map(act));
  const nameOf = (way: string, { change, index }: (typeof namespaces)[number]) =>
    `sieve-${way}-${change}-${index}`;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
  });
  afterEach(() => end('SIGTERM'));
  after(() => pods.stop());

  async function operate(hooks: WireHooks = {}): Promise<void> {
    wire = new Wire(api, hooks);
    operator = await Operator.start(api, {
      identity: 'sieve',
      server: await wire.start(),
      // The proxy may be too slow for a Lease on a busy machine.
      args: ['--workers', '50', '--no-leader-election'],
    });
    await operator.leads();
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    await operator.end(signal);
    await wire.stop();
  }
  async function happen(way: string): Promise<void> {
    await inEach(async (one) => {
      const [kindName, name] = OBJECTS[one.index] as readonly [string, string];
      const kind = OWNED.find(({ kind: known }) => known === kindName) as Kind;
      const path = apiPath(kind, nameOf(way, one), name);
      await api.admin.request<KubeObject>({ ...CHANGES[one.change], path } as never).catch((error) => {
        if (!isKubeError(error, 'notFound')) throw error;
      });
    });
  }

  const WORLDS: Readonly<Record<'stale' | 'gap' | 'crash', () => Promise<void>>> = {
    stale: async () => {
      wire.silenceWatches();
      await happen('stale');
    },
    gap: async () => {
      await end('SIGTERM');
      await happen('gap');
      await operate();
    },
    crash: async () => {
      await end('SIGTERM');
      let left = 5;
      const { promise, resolve } = Promise.withResolvers<void>();
      await operate({
        onAnswered: ({ method }) => {
          if (method !== 'GET' && --left === 0) resolve();
        },
      });
      await happen('crash');
      await promise;
      await end('SIGKILL');
      await operate();
    },
  };

  /** A relay at rest whose own watch falls silent; how often it was asked for by name since, and what was written for it. */
  async function unheard(namespace: string): Promise<{ asked: () => number; made: () => readonly Call[] }> {
    let count = 0;
    const isOfRelay = (uri: string) => uri.endsWith(`/namespaces/${namespace}/mailrelays/relay`);
    await operate({
      onAnswered: ({ method, uri }) => {
        if (method === 'GET' && isOfRelay(uri)) count += 1;
      },
    });
    await api.makeNamespace(namespace);
    await putRelay(api, relayNamed(namespace, 'relay', SPEC));
    await whenSettled(api, namespace, 'relay');
    await whenQuiet(api);
    const [since, before] = [Date.now(), count];
    wire.silenceWatches('/mailrelays?');
    const isMade = ({ verb, uri }: Call) =>
      verb === 'patch' && uri.includes(`/namespaces/${namespace}/`) && !uri.includes('/status');
    return { asked: () => count - before, made: () => api.calls(since).filter(isMade) };
  }

  test('a relay whose pause no watch tells is left alone', async () => {
    const { asked, made } = await unheard('sieve-paused');
    const edit = (kind: Kind, name: string, body: object) =>
      api.admin.request({
        method: 'PATCH',
        path: apiPath(kind, 'sieve-paused', name),
        contentType: 'application/merge-patch+json',
        body,
      });
    await edit(MAIL_RELAY, 'relay', { metadata: { annotations: { [ANNOTATIONS.paused]: 'true' } } });
    await edit(CONFIG_MAP, 'relay-policy', { data: { [POLICY_FILE_NAME]: '{}' } });
    await until('the looks', () => asked() >= 4 || made().length > 0);
    assert.deepEqual(made(), []);
  });

  test('nothing is made again for a MailRelay whose deletion no watch tells', async () => {
    const { asked, made } = await unheard('sieve-deleted');
    const pathOf = (kind: Kind, name: string) => apiPath(kind, 'sieve-deleted', name);
    const isGone = async (kind: Kind, name: string) => {
      const found = await api.admin.request({ method: 'GET', path: pathOf(kind, name) }).catch((error) => {
        if (!isKubeError(error, 'notFound')) throw error;
      });
      return found === undefined;
    };
    await api.admin.request({ method: 'DELETE', path: pathOf(MAIL_RELAY, 'relay') });
    await until('its pods to go', () => isGone(STATEFUL_SET, 'relay'));
    await until('its policy to go', () => isGone(CONFIG_MAP, 'relay-policy'));
    // It heard of these ends, and asks each time before it makes anything anew.
    await until('the looks', () => asked() >= 4 || made().length > 0);
    assert.deepEqual([made(), await isGone(STATEFUL_SET, 'relay')], [[], true]);
  });

  for (const way of WAYS) {
    test(`${way}: whatever was done to whatever object, the world is as it was`, async () => {
      await operate();
      await inEach(async (one) => {
        await api.makeNamespace(nameOf(way, one));
        await putRelay(api, relayNamed(nameOf(way, one), 'relay', SPEC));
      });
      for (const one of namespaces) await whenSettled(api, nameOf(way, one), 'relay');
      await whenQuiet(api);
      const worlds = new Map<string, Record<string, unknown>>();
      await inEach(async (one) => worlds.set(nameOf(way, one), await snapshot(api, nameOf(way, one))));
      await WORLDS[way]();
      for (const [namespace, expected] of worlds) await whenSame(api, namespace, expected);
    });
  }
});
