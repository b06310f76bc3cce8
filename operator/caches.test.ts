/** A kind that mail does not need, and that cannot be listed, keeps only the relays that depend on it. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { relayObject } from '#test/fixtures/world.ts';
import { until } from '#test/kit/wait.ts';
import { Caches } from './caches.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { OPTIONAL } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';

const PLAIN = 'mail/plain';
const PUBLISHES = 'mail/publishes';

function named(name: string, relay: MailRelay): KubeObject {
  const metadata = { ...relay.metadata, name, uid: name, resourceVersion: '1' };
  return { ...relay, metadata } as unknown as KubeObject;
}

const RELAYS = [
  named('plain', relayObject({ tls: { issuerRef: { name: 'ca' } } })),
  named('publishes', relayObject({ dns: { publish: 'DNSEndpoint' } })),
];

/** An API server with two MailRelays and later these objects. It cannot list what is in `broken`, by the ends of paths. */
function startCaches(
  t: TestContext,
  broken: Map<string, KubeError>,
  later: readonly KubeObject[] = [],
  namespaces?: readonly string[],
) {
  const complete: string[][] = [];
  const said: string[] = [];
  const pluralOf = (path: string) => path.split('/').at(-1) ?? '';
  const errorAt = (path: string) => [...broken].find(([end]) => path.endsWith(`/${end}`))?.[1];
  const caches = new Caches({
    client: {
      request: async <T>({ path }: Request) => {
        const error = errorAt(path);
        if (error) throw error;
        const items = pluralOf(path) === 'mailrelays' ? RELAYS : [];
        return { items, metadata: { resourceVersion: '1' } } as T;
      },
      /** The server sends nothing else until the watch ends. */
      async *lines({ path, query }: Request, signal: AbortSignal) {
        if (query?.['sendInitialEvents']) throw new KubeError('invalid', 'no streamed lists', 422);
        const error = errorAt(path);
        if (error) throw error;
        const bookmark = { metadata: { resourceVersion: '1' } };
        yield JSON.stringify({ type: 'BOOKMARK', object: bookmark });
        for (const object of later.filter(({ kind }) => `${kind?.toLowerCase()}s` === pluralOf(path)))
          yield JSON.stringify({ type: 'ADDED', object });
        if (!signal.aborted)
          await new Promise((ended) => signal.addEventListener('abort', ended, { once: true }));
      },
    },
    namespaces,
    random: () => 0,
    onNews: () => undefined,
    onComplete: (keys) => complete.push([...keys].toSorted()),
    onTrouble: ({ kind }) => said.push(`cannot watch ${kind}`),
    onAway: (namespace) => said.push(`${namespace} is away`),
    onBack: (namespace) => said.push(`${namespace} is back`),
  });
  t.after(() => caches.stop());
  caches.start();
  return { caches, complete, said };
}

const ANSWERS = [new KubeError('unavailable', 'no', 503), new KubeError('forbidden', 'no', 403)];

for (const error of ANSWERS) {
  for (const [kind, plural] of [
    ['PodMonitor', 'podmonitors'],
    ['Certificate', 'certificates'],
    ['CertificateRequest', 'certificaterequests'],
  ] as const)
    test(`a ${kind} that cannot be listed (${error.status}) keeps no relay, and is not taken for absent`, async (t) => {
      const broken = new Map([[plural, error]]);
      const { caches, complete } = startCaches(t, broken);
      await until('the caches', () => caches.synced);
      assert.deepEqual(caches.keys(), [PLAIN, PUBLISHES]);
      assert.deepEqual(complete.at(-1), [PLAIN, PUBLISHES]);
      assert.deepEqual(caches.listUnlisted(PLAIN).unlisted, [{ kind, message: 'no' }]);
      broken.clear();
      const before = complete.length;
      await until('another look at all', () => complete.length > before);
      assert.deepEqual(complete.at(-1), [PLAIN, PUBLISHES]);
      assert.deepEqual(caches.listUnlisted(PLAIN).unlisted, []);
    });

  test(`a DNSEndpoint that cannot be listed (${error.status}) keeps those that publish by it`, async (t) => {
    const broken = new Map([['dnsendpoints', error]]);
    const { caches, complete } = startCaches(t, broken);
    await until('the caches', () => caches.synced);
    assert.deepEqual(caches.keys(), [PLAIN]);
    assert.deepEqual(complete.at(-1), [PLAIN]);
    broken.clear();
    await until('all relays', () => complete.at(-1)?.length === 2);
    assert.ok(caches.isComplete(PUBLISHES));
  });
}

test('a StatefulSet that cannot be listed keeps all', async (t) => {
  const broken = new Map([['statefulsets', new KubeError('unavailable', 'no', 503)]]);
  // The extra is given up at the same time as the StatefulSet would be.
  broken.set('podmonitors', new KubeError('unavailable', 'no', 503));
  const { caches, complete } = startCaches(t, broken);
  const figures = () => caches.figures.find(({ kind }) => kind === 'StatefulSet')?.restarts ?? 0;
  await until('some failures', () => figures() > 4);
  assert.ok(!caches.synced);
  assert.deepEqual([caches.keys(), complete.flat()], [[], []]);
  broken.delete('statefulsets');
  await until('the caches', () => caches.synced);
  assert.deepEqual(complete.at(-1), [PLAIN, PUBLISHES]);
});

const NO_RIGHTS = new KubeError('forbidden', 'no rights', 403);

describe('what was known and may not be watched any more', { concurrency: true }, () => {
  for (const [what, plural, error, expected, namespaces] of [
    ['the MailRelays', 'mailrelays', NO_RIGHTS, 'no rights'],
    ['the pods', 'pods', NO_RIGHTS, 'no rights'],
    [
      'the MailRelays, whose CRD is gone',
      'mailrelays',
      new KubeError('notFound', 'no such kind', 404),
      'no such kind',
    ],
    ['an extra', 'podmonitors', NO_RIGHTS, undefined],
    ['the pods, while the API server is away', 'pods', new KubeError('unavailable', 'away', 503), undefined],
    ['the pods of one of two named namespaces', 'shop/pods', NO_RIGHTS, undefined, ['mail', 'shop']],
    ['the pods of both named namespaces', 'pods', NO_RIGHTS, 'no rights', ['mail', 'shop']],
    ['an extra of the only named namespace', 'podmonitors', NO_RIGHTS, undefined, ['mail']],
    ['the MailRelays of the only named namespace', 'mailrelays', NO_RIGHTS, 'no rights', ['mail']],
  ] as const)
    test(`${what}: ${expected ?? 'nothing'} is told, until it is mended`, async (t) => {
      const broken = new Map<string, KubeError>();
      const { caches } = startCaches(t, broken, [], namespaces);
      await until('the caches', () => caches.synced);
      const told = () => caches.trouble?.split(': ').at(-1);
      assert.equal(told(), undefined);
      broken.set(plural, error);
      caches.renew();
      const failures = () => Math.max(...caches.figures.map(({ restarts }) => restarts));
      await until('some failures', () => failures() > 4);
      assert.deepEqual([told(), caches.synced], [expected, true]);
      // The server is away for a moment, and its first answers are those of before.
      broken.set(plural, new KubeError('unavailable', expected ?? 'away', 503));
      caches.renew();
      await new Promise((tick) => setTimeout(tick, 20));
      assert.equal(told(), expected);
      broken.clear();
      caches.renew();
      await until('the news', () => told() === undefined);
    });
});

describe('rights that are lacking from the start, and those of extras', { concurrency: true }, () => {
  for (const namespaces of [undefined, ['mail'], ['mail', 'shop']])
    test(`without any rights from the start (${namespaces ?? 'all namespaces'}): the reason is told`, async (t) => {
      const broken = new Map([['mailrelays', NO_RIGHTS]]);
      const { caches } = startCaches(t, broken, [], namespaces);
      await until('the reason', () => caches.trouble?.includes('no rights'));
      broken.clear();
      caches.renew();
      await until('the news', () => caches.trouble === undefined);
      assert.ok(caches.synced);
    });

  test('a named namespace without rights to an extra is not away, and one without rights to what mail needs is', async (t) => {
    const broken = new Map([['mail/podmonitors', NO_RIGHTS]]);
    const { caches, said } = startCaches(t, broken, [], ['mail', 'shop']);
    const watched = () => caches.namespaces.map(({ watched: is }) => is);
    await until('the caches', () => caches.synced && watched().every((is) => is));
    broken.set('shop/pods', NO_RIGHTS);
    caches.renew();
    await until('the news', () => said.includes('shop is away'));
    assert.deepEqual(watched(), [true, false]);
    broken.clear();
    caches.renew();
    await until('the end', () => said.includes('shop is back'));
    assert.deepEqual(said, ['cannot watch PodMonitor', 'shop is away', 'shop is back']);
    assert.deepEqual(watched(), [true, true]);
  });

  for (const [kind, plural, unlisted] of [
    ['Certificate', 'certificates', [[PLAIN], [PUBLISHES]]],
    ['DNSEndpoint', 'dnsendpoints', [[PLAIN]]],
  ] as const)
    test(`a ${kind} that may not be watched any more counts as one that cannot be listed, where nobody needs to know it`, async (t) => {
      const broken = new Map<string, KubeError>();
      const { caches, complete } = startCaches(t, broken);
      await until('the caches', () => caches.synced);
      const told = () => [PLAIN, PUBLISHES].filter((key) => caches.listUnlisted(key).unlisted.length > 0);
      assert.deepEqual(told(), []);
      broken.set(plural, NO_RIGHTS);
      caches.renew();
      const before = complete.length;
      await until('it to be told', () => told().length > 0);
      assert.deepEqual(told(), unlisted.flat());
      assert.deepEqual(complete.slice(before), [[PLAIN, PUBLISHES]], 'all are looked at again');
      const lacking = [{ kind, message: 'no rights' }];
      assert.deepEqual(caches.listUnlisted(PLAIN), { unlisted: lacking, readByName: [] });
      const isNeeded = kind === 'DNSEndpoint';
      assert.deepEqual(caches.listUnlisted(PUBLISHES).readByName, isNeeded ? lacking : []);
      broken.clear();
      caches.renew();
      await until('another look', () => complete.length > before + 1);
      assert.deepEqual(told(), []);
      assert.deepEqual(caches.listUnlisted(PUBLISHES).readByName, []);
    });
});

test('an optional kind that comes later is found within two minutes', () => {
  for (const [{ kind }, pauseMs] of OPTIONAL) assert.ok(pauseMs <= 90_000, kind);
});

test('of a large Certificate that a roll-over left the Secret is kept, and of one of no relay nothing', async (t) => {
  const left = (relay: string): KubeObject => ({
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: {
      name: objectNames.secondCertificate(relay, 'former'),
      namespace: 'mail',
      uid: relay,
      resourceVersion: '2',
      ownerReferences: [{ kind: 'MailRelay', name: relay, uid: relay, controller: true }],
    },
    spec: { secretName: 'former', privateKey: { algorithm: 'RSA', size: 4096 }, large: 'x'.repeat(40_000) },
  });
  const { caches } = startCaches(t, new Map(), [left('plain'), left('nobody')]);
  const specOf = (relay: string) => {
    const [kept] = [...caches.objectsOf(`mail/${relay}`).values()];
    return kept && { spec: (kept as KubeObject)['spec'] };
  };
  await until('the Certificates', () => specOf('plain') && specOf('nobody'));
  assert.deepEqual(specOf('plain'), {
    spec: { secretName: 'former', privateKey: { algorithm: 'RSA', size: 4096 } },
  });
  assert.deepEqual(specOf('nobody'), { spec: undefined });
});
