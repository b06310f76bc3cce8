/** Which of two Certificates fills a Secret, by the effective names of the Secrets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { validateMailRelay } from '#crds/validate.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { document } from '#test/fixtures/manifests.ts';
import { liveObjects, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import { reconcile } from '../reconcile.ts';
import { renderAll } from '../render/index.ts';
import type { World } from '../world.ts';
import { judge } from './chain.ts';
import { filledBy, withoutTaken } from './secrets.ts';

const ca = { issuerRef: { name: 'ca' } };

function named(name: string, tls: object, creationTimestamp = '2026-01-02T00:00:00Z'): MailRelay {
  const relay = relayObject({ tls });
  return { ...relay, metadata: { ...relay.metadata, name, uid: `uid-of-${name}`, creationTimestamp } };
}

function faultsOf(spec: MailRelay['spec']) {
  const judged = validateMailRelay(document(spec));
  return judged.kind === 'invalid' ? judged.faults : [];
}

/** The Certificates that are written, and those that are not. */
function decided(relay: MailRelay, others: World['filled'] = [], objects: World['objects'] = new Map()) {
  const world = settledWorld({ relay, objects, filled: others });
  const { kept, taken } = withoutTaken(world, renderAll(relay, world.policy as never, SETTINGS));
  const written = kept.filter(({ kind }) => kind === 'Certificate').map(({ metadata }) => metadata.name);
  const said = taken.length > 0 ? judge({ ...world, obstacles: taken }).Stalled?.message : undefined;
  return { written, said };
}

test('within a relay, by names that are set or result', () => {
  const both = ['relay', 'relay-internal'];
  assert.deepEqual(decided(named('relay', { ...ca, internal: ca })), { written: both, said: undefined });
  const SAME: readonly object[] = [
    { ...ca, secretName: 'relay-internal-tls', internal: ca },
    { ...ca, internal: { ...ca, secretName: 'relay-tls' } },
  ];
  for (const tls of SAME) {
    const { written, said } = decided(named('relay', tls));
    assert.deepEqual(written, ['relay']);
    assert.match(
      said ?? '',
      /^Secret\/relay-(internal-)?tls is filled for its certificate of tls already: set/,
    );
  }
  const users = decided(named('relay', { secretName: 'relay-internal-tls', internal: ca }));
  assert.deepEqual(users.written, [], 'what a person filled is not overwritten');
});

const sni = (secretName: string) => [{ hostnames: ['b.example'], secretName }];
const serve = (source: object) => ({
  inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['a.example'] },
  dns: { mtaSTS: { mode: 'Testing', serve: source } },
});

/** The objects that a reconcile of this world deletes. */
async function deleted(relay: MailRelay): Promise<string[]> {
  const deps = recordingDeps(notFound);
  await reconcile(settledWorld({ relay }), deps);
  return deps.requests.flatMap(({ method, path }) => (method === 'DELETE' ? [path] : []));
}

test('a certificate without an issuer reads the Secret of another one, which stays', async () => {
  const CASES: readonly (readonly [changes: object, written: string[]])[] = [
    // As docs/dns-records.md recommends.
    [{ tls: { ...ca, dnsNames: ['mta-sts.a.example'] }, ...serve({ secretName: 'relay-tls' }) }, ['relay']],
    [{ tls: { ...ca, secretName: 'one' }, ...serve({ secretName: 'one' }) }, ['relay']],
    [{ tls: { ...ca, internal: { secretName: 'relay-tls' } } }, ['relay']],
    [{ tls: { ...ca, certificates: sni('relay-tls') } }, ['relay']],
    [{ tls: { ...ca, internal: ca, certificates: sni('relay-internal-tls') } }, ['relay', 'relay-internal']],
    [
      { tls: { ...ca, internal: ca }, ...serve({ secretName: 'relay-internal-tls' }) },
      ['relay', 'relay-internal'],
    ],
  ];
  for (const [changes, written] of CASES) {
    const relay = relayObject(changes as Record<string, unknown>);
    const what = JSON.stringify(changes);
    assert.deepEqual(faultsOf(relay.spec), [], what);
    for (const objects of [new Map(), liveObjects(relay)])
      assert.deepEqual(decided(relay, [], objects), { written, said: undefined }, what);
    assert.deepEqual(await deleted(relay), [], what);
  }
});

test('a new Certificate does not overwrite the Secret of the host name that a person fills', async () => {
  const CASES: readonly (readonly [changes: object, secret: string, certificate: string])[] = [
    [{ tls: { secretName: 'relay-internal-tls', internal: ca } }, 'relay-internal-tls', 'relay-internal'],
    [{ tls: { secretName: 'relay-mta-sts-tls' }, ...serve(ca) }, 'relay-mta-sts-tls', 'relay-mta-sts'],
  ];
  for (const [changes, secret, certificate] of CASES) {
    const relay = relayObject(changes as Record<string, unknown>);
    const { written, said } = decided(relay);
    assert.deepEqual(written, []);
    assert.ok(said?.startsWith(`Secret/${secret} is filled for tls by a person already: set`), String(said));
    assert.match(faultsOf(relay.spec)[0]?.message ?? '', new RegExp(`have one Secret, ${secret}, and`));
    // One that is there has filled the Secret already.
    assert.deepEqual(decided(relay, [], liveObjects(relay)), { written: [certificate], said: undefined });
    assert.deepEqual(await deleted(relay), []);
  }
});

test('a Secret that two Certificates of a relay would fill goes to the first of them', () => {
  const { written, said } = decided(
    relayObject({
      tls: { ...ca, internal: { ...ca, secretName: 'both' } },
      inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['a.example'] },
      dns: { mtaSTS: { mode: 'Testing', serve: { ...ca, secretName: 'both' } } },
    }),
  );
  assert.deepEqual(written, ['relay', 'relay-internal']);
  assert.match(said ?? '', /^Secret\/both is filled for its certificate of tls\.internal already/);
});

test('of two relays the one whose Certificate is there, else the older one', () => {
  const older = named('older', { ...ca, secretName: 'shared' }, '2026-01-01T00:00:00Z');
  const younger = named('younger', { ...ca, secretName: 'shared' });
  const certificate = (relay: MailRelay) => {
    const live = [...liveObjects(relay)].find(([, { kind }]) => kind === 'Certificate');
    assert.ok(live);
    const made = { ...live[1], metadata: { ...live[1].metadata, creationTimestamp: '2026-01-03T00:00:00Z' } };
    return new Map([[live[0], made]]);
  };
  assert.match(decided(younger, filledBy(older, new Map())).said ?? '', /MailRelay older already/);
  assert.deepEqual(decided(older, filledBy(younger, new Map())).written, ['older']);
  const there = certificate(younger);
  assert.deepEqual(decided(younger, filledBy(older, new Map()), there).written, ['younger']);
  assert.match(decided(older, filledBy(younger, there)).said ?? '', /MailRelay younger already/);
  const other = named('other', { ...ca, secretName: 'own' });
  assert.deepEqual(decided(other, filledBy(older, new Map())).said, undefined);
  const user = named('user', { secretName: 'shared' });
  assert.deepEqual(
    decided(user, filledBy(older, new Map())),
    { written: [], said: undefined },
    'it only mounts it',
  );
});
