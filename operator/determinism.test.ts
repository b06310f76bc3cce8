/** The same world gives the same bytes, whatever the order of its parts is; and a second reconcile writes nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { asksForRelay } from '#test/fixtures/deps.ts';
import { podReport, podView, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import fc from '#test/kit/property.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { Refresher } from './pods/refresh.ts';
import { type Deps, reconcile } from './reconcile.ts';
import { listRecords } from './records/list.ts';
import { joinAuthorities } from './render/authority.ts';
import { renderAll } from './render/index.ts';
import { renderStatus } from './report/status.ts';
import { Rollouts } from './rollouts.ts';
import type { World } from './world.ts';

const PROBLEM = fc.constantFrom('CertificateMissing', 'KeyMismatch', 'CertificateExpired', 'unheard of');
const DESTINATION = fc.constantFrom('a.example', 'b.example');

const tls = fc.constantFrom(
  { secretName: 'relay-tls' },
  { issuerRef: { name: 'ca' }, duration: '90d', privateKey: { algorithm: 'RSA' } },
  { issuerRef: { name: 'acme' }, internal: { issuerRef: { name: 'ca' } } },
);

const inbound = fc.record({
  starttls: fc.constantFrom('Enabled', 'Required'),
  listeners: fc.constantFrom(
    [{ name: 'smtp', port: 25 }],
    [
      { name: 'submission', port: 587 },
      { name: 'smtp', port: 25, starttls: 'Enabled' },
    ],
  ),
  acceptDomains: fc.uniqueArray(DESTINATION, { minLength: 1 }),
});

const relays = fc
  .record({
    replicas: fc.nat(3),
    tls,
    inbound,
    outbound: fc.constantFrom({ smartHosts: [{ host: 'hop.example', credentialsSecretName: 'login' }] }, {}),
  })
  .map((spec) => relayObject(spec));

const changes: fc.Arbitrary<(relay: MailRelay) => Partial<PodStatus>> = fc
  .record({
    hash: fc.constantFrom('old', undefined),
    problem: fc.option(PROBLEM),
    authority: fc.option(fc.constantFrom('A', 'B')),
    next: fc.option(fc.constantFrom('C', 'D')),
    depth: fc.nat(1_000),
    oldest: fc.option(fc.nat(100_000)),
    destinations: fc.uniqueArray(DESTINATION),
    missing: fc.uniqueArray(fc.constantFrom('outbound.x: a', 'inbound.y: b')),
  })
  .map(({ hash, problem, authority, depth, oldest, destinations, missing, next }) => (relay) => {
    const deferrals = destinations.map((destination) => ({ destination, message: 'later' }));
    const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const { certificate } = podReport(relay);
    return {
      ...(hash ? { policy: { hash, refused: null } } : {}),
      certificateProblem: problem === null ? null : { reason: problem, message: 'as it says' },
      internalAuthority: relay.spec.tls?.internal && authority !== null ? pem(authority) : null,
      nextInternalCertificate:
        next === null || !certificate ? null : { ...certificate, authority: pem(next), follows: null },
      missing,
      queue: { depth, held: depth % 3, oldestSeconds: oldest, deferrals, loginsRefused: [] },
    };
  });

const worlds: fc.Arbitrary<World> = fc
  .record({ relay: relays, pods: fc.array(fc.option(changes), { maxLength: 3 }), ready: fc.boolean() })
  .map(({ relay, pods, ready }) =>
    settledWorld({
      relay,
      policy: effectivePolicy(relay.metadata, relay.spec),
      pods: pods.slice(0, relay.spec.replicas).map((change, n) => {
        const report = change === null ? undefined : podReport(relay, change(relay));
        return podView(`relay-${n}`, report, { ready });
      }),
    }),
  );

/** The same value with the keys of every object, and the entries of every map, in another order. */
function shuffled<T>(value: T, seed: number): T {
  let state = seed;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state;
  };
  const mixed = <E>(entries: readonly E[]): E[] =>
    entries
      .map((entry) => ({ entry, at: random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ entry }) => entry);
  const walk = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(walk);
    if (part instanceof Map) return new Map(mixed([...part].map(([key, inner]) => [key, walk(inner)])));
    if (part === null || typeof part !== 'object') return part;
    return Object.fromEntries(mixed(Object.entries(part).map(([key, inner]) => [key, walk(inner)])));
  };
  return walk(value) as T;
}

function renderBytes(world: World): string {
  const { relay, policy } = world;
  const objects = policy
    ? renderAll(relay, policy, SETTINGS, { authority: joinAuthorities(world), records: listRecords(world) })
    : [];
  return JSON.stringify([renderStatus({ ...world, obstacles: [] }), objects]);
}

test('the same world, its parts in another order, gives the same status and the same objects to the byte', () => {
  fc.assert(
    fc.property(worlds, fc.nat(), (world, seed) => {
      assert.equal(renderBytes(shuffled(world, seed)), renderBytes(world));
    }),
    { numRuns: 300 },
  );
});

/** An API server that stores the writes and counts them. */
class Kept {
  writes = 0;
  status: MailRelayStatus | undefined;
  readonly objects = new Map<string, KubeObject>();
  readonly refreshed = new Map<string, string>();

  readonly request = async <T>(request: Request): Promise<T> => {
    const { method, path, body } = request;
    if (asksForRelay(request)) return relayObject() as T;
    if (method === 'GET') throw new KubeError('notFound', 'not found', 404);
    this.writes += 1;
    if (path.endsWith('/status')) this.status = (body as { status: MailRelayStatus }).status;
    else if (path.includes('/pods/')) this.#refresh(path, body);
    else this.#apply(body as KubeObject);
    return {} as T;
  };

  after(world: World): World {
    const { status } = this;
    return {
      ...world,
      relay: { ...world.relay, ...(status ? { status } : {}) },
      objects: new Map(this.objects),
      pods: world.pods.map((pod) => ({ ...pod, refresh: this.refreshed.get(pod.name) ?? pod.refresh })),
    };
  }

  #apply(object: KubeObject): void {
    this.objects.set(`${object.kind}/${object.metadata.name}`, object);
  }

  #refresh(path: string, body: unknown): void {
    const { annotations } = (body as KubeObject).metadata;
    this.refreshed.set(path.slice(path.lastIndexOf('/') + 1), Object.values(annotations ?? {})[0] ?? '');
  }
}

test('a world that was reconciled once is not written to again', async () => {
  await fc.assert(
    fc.asyncProperty(worlds, fc.nat(), async (world, seed) => {
      const server = new Kept();
      const deps: Deps = {
        writer: server,
        settings: SETTINGS,
        refresher: new Refresher(),
        rollouts: new Rollouts(1),
        onWrite: () => undefined,
        tell: async () => undefined,
      };
      await reconcile({ ...world, objects: new Map() }, deps);
      // The caches have the new objects now, and the status mentions them.
      await reconcile(server.after(world), deps);
      const { writes } = server;
      await reconcile(shuffled(server.after(world), seed), deps);
      assert.equal(server.writes, writes);
    }),
    { numRuns: 200 },
  );
});
