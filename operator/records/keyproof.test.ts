/** What proves that the next key of a relay is published: DNS, a note on the ConfigMap or the word of a person. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import type { DnsAnswer, DnsView, KeyPlan } from './keyplan.ts';
import { listAwaited } from './proof.ts';
import { describeMarks, nextLookMs, planKeys } from './rollover.ts';

const NAMES = ['_25._tcp.relay.example.com', '_465._tcp.relay.example.com'];
const BOTH = ['a', 'b'].map((letter) => `3 1 1 ${letter.repeat(64)}`);
const inDns = (values: readonly string[], names = NAMES): DnsView =>
  new Map(names.map((name) => [name, { kind: 'found', values }]));

interface ByHand {
  /** On the MailRelay, by a person. */
  readonly word?: string | undefined;
  /** On the ConfigMap of the policy, by us. */
  readonly note?: string;
  readonly awaited?: string;
  readonly dns?: DnsView;
  readonly listed?: readonly string[];
  readonly now?: number;
}

/** A relay whose TLSA records a person publishes, with a next key that every pod has told. */
function worldByHand({ word, note, awaited, dns, listed = BOTH, now = 0 }: ByHand) {
  const annotated = (mark?: string, since?: string) => ({
    annotations: {
      ...(mark === undefined ? {} : { [ANNOTATIONS.published]: mark }),
      ...(since === undefined ? {} : { [ANNOTATIONS.awaited]: since }),
    },
  });
  const relay = relayObject({ replicas: 1, tls: { secretName: 'two' }, dns: { tlsa: true, ttl: '1m' } });
  const facts = podReport(relay).certificate;
  const nextCertificate = facts && { ...facts, publicKeySha256: 'b'.repeat(64), secret: 'two' };
  const volumes = [{ name: 'certificate', secret: { secretName: 'one' } }];
  const set = { kind: 'StatefulSet', metadata: { name: 'relay' }, spec: { template: { spec: { volumes } } } };
  const map = { kind: 'ConfigMap', metadata: { name: 'relay-policy', ...annotated(note, awaited) } };
  const objects = new Map<string, KubeObject>([
    ['StatefulSet/relay', set],
    ['ConfigMap/relay-policy', map],
  ]);
  const dnsRecords = NAMES.map((name) => ({ name, type: 'TLSA' as const, ttl: 60, values: [...listed] }));
  return {
    relay: { ...relay, metadata: { ...relay.metadata, ...annotated(word) }, status: { dnsRecords } },
    objects,
    pods: [podView('relay-0', podReport(relay, { nextCertificate }))],
    leaving: [],
    dns,
    now,
  };
}

const byHand = (given: ByHand): KeyPlan => planKeys(worldByHand(given));

test('without external-dns DNS itself proves the next key, and the note of it is in the ConfigMap', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const plan = byHand({ dns: inDns(BOTH), now });
  assert.equal(plan.next?.step.kind, 'publishing', 'it is not noted yet');
  const note = `${'b'.repeat(64)}@2026-01-01T00:00:00.000Z`;
  assert.deepEqual(describeMarks(worldByHand({ now }), plan), {
    endpoint: {},
    policy: { [ANNOTATIONS.published]: note },
  });
  const later = (ms: number, listed = BOTH) => byHand({ note, listed, now: now + ms });
  assert.equal(later(119_999).next?.step.kind, 'waiting', 'nobody looks while it waits');
  assert.equal(later(120_000).inService, 'two');
  assert.equal(later(999_999, [BOTH[0] as string]).next?.step.kind, 'publishing', 'it is listed no more');
});

test('until when copies of longer-lived records may be about stays for a while, and is never too early', () => {
  const noteAt = (now: number, ttl: number) => {
    const world = worldByHand({ now });
    const dnsRecords = world.relay.status.dnsRecords.map((one) => ({ ...one, ttl }));
    const long = { ...world, relay: { ...world.relay, status: { dnsRecords } } };
    const { endpoint, policy } = describeMarks(long, planKeys(long));
    assert.equal(endpoint[ANNOTATIONS.copiesUntil], policy[ANNOTATIONS.copiesUntil]);
    return Date.parse(endpoint[ANNOTATIONS.copiesUntil] ?? '');
  };
  const began = Date.parse('2026-01-01T00:00:00Z');
  // While a DNSEndpoint with the longer time is refused.
  for (const [ttl, whileMs] of [
    [600, 600_000],
    [3_600, 3_600_000],
    [7 * 86_400, 3_600_000],
  ] as const) {
    const until = began + whileMs + 2 * ttl * 1_000;
    for (const ms of [1, whileMs / 2, whileMs]) assert.equal(noteAt(began + ms, ttl), until);
    assert.equal(noteAt(began + whileMs + 1, ttl), until + whileMs);
  }
  // What somebody writes into a DNSEndpoint by hand may be of any size, and no date has room for the last one.
  const longest = noteAt(began, 7 * 86_400);
  for (const ttl of [7 * 86_400 + 1, 2 ** 31 - 1, Number.MAX_SAFE_INTEGER])
    assert.equal(noteAt(began, ttl), longest, `${ttl} s`);
});

test('every name has to have both records; all else is no proof, and is looked at again after a pause', () => {
  const proofOf = (dns?: DnsView, listed = BOTH) => {
    const plan = byHand({ ...(dns ? { dns } : {}), listed });
    const step = plan.next?.step;
    assert.equal(nextLookMs(plan, 0), 30_000);
    assert.equal(plan.inService, 'one');
    return step?.kind === 'publishing' ? step.proof : undefined;
  };
  const [old, next] = BOTH as [string, string];
  const [first, second] = NAMES as [string, string];
  const failed = { kind: 'failed', why: 'no name server answers' } as const;
  const both = { kind: 'found', values: BOTH } as const;
  assert.deepEqual(proofOf(), { kind: 'unasked' });
  assert.deepEqual(proofOf(inDns(BOTH, [first])), { kind: 'unasked' }, 'one name of two');
  assert.deepEqual(proofOf(inDns([old])), { kind: 'lacking', name: first, value: next });
  assert.deepEqual(proofOf(inDns([next])), { kind: 'lacking', name: first, value: old });
  assert.deepEqual(
    proofOf(
      new Map<string, DnsAnswer>([
        [first, both],
        [second, failed],
      ]),
    ),
    { ...failed, name: second },
  );
  assert.deepEqual(proofOf(inDns(BOTH), [old]), { kind: 'unwritten' }, 'nobody could publish it yet');
  assert.deepEqual(proofOf(inDns([]), []), { kind: 'unwritten' });
});

test('only a key that waits for its proof is looked up', () => {
  const awaited = (given: ByHand) => {
    const world = worldByHand(given);
    return listAwaited({ ...world, keys: planKeys(world) });
  };
  const wanted = NAMES.map((name) => ({ name, values: BOTH }));
  assert.deepEqual(awaited({}), wanted);
  assert.deepEqual(awaited({ dns: inDns([]) }), wanted);
  assert.deepEqual(awaited({ listed: [BOTH[0] as string] }), []);
  assert.deepEqual(awaited({ dns: inDns(BOTH) }), wanted, 'the proof is kept until its note is seen');
  assert.deepEqual(awaited({ note: `${'b'.repeat(64)}@2026-01-01T00:00:00Z` }), []);
  assert.deepEqual(listAwaited(settledWorld({ relay: relayObject({ dns: { tlsa: true } }) })), []);
});

test('a proof whose note does not stay is no end of a wait, and the note stays the same for a minute', () => {
  const began = Date.parse('2026-01-01T00:00:20Z');
  const at = (ms: number) => {
    const given = { dns: inDns(BOTH), now: began + ms };
    const plan = byHand(given);
    assert.deepEqual(plan.next?.step.kind === 'publishing' && plan.next.step.proof, { kind: 'proven' });
    assert.equal(plan.inService, 'one');
    assert.equal(nextLookMs(plan, given.now), 30_000);
    return describeMarks(worldByHand(given), plan).policy;
  };
  const note = { [ANNOTATIONS.published]: `${'b'.repeat(64)}@2026-01-01T00:01:00.000Z` };
  for (const ms of [0, 1, 40_000]) assert.deepEqual(at(ms), note, 'never before the proof');
  assert.notDeepEqual(at(40_001), note);
  at(999_999_999);
  // The same of the note since when the proof is awaited.
  const waits = (ms: number) => {
    const given = { now: began + ms };
    return describeMarks(worldByHand(given), byHand(given)).policy;
  };
  assert.deepEqual(waits(39_999), waits(0));
});

test('where look-ups do not work a person says since when the next key is in DNS', () => {
  const said = Date.parse('2026-01-01T00:00:00Z');
  const mark = (letter: string) => `${letter.repeat(64)}@2026-01-01T00:00:00Z`;
  const at = (word: string | undefined, ms: number, awaited = `${'b'.repeat(64)}@2026-01-01T00:00:00.900Z`) =>
    byHand({ word, awaited, now: said + ms, dns: inDns([]) });
  const stepOf = (...given: Parameters<typeof at>) => at(...given).next?.step.kind;
  assert.equal(stepOf(undefined, 999_999_999), 'publishing');
  assert.equal(stepOf(mark('a'), 999_999_999), 'publishing', 'the word for another key');
  const beyond = `${'b'.repeat(64)}@+275760-09-13T00:00:00Z`;
  for (const text of ['', 'yes', `${'b'.repeat(64)}@yesterday`, 'b'.repeat(64), beyond])
    assert.equal(stepOf(text, 999_999_999), 'publishing', text);
  assert.equal(stepOf(mark('b'), 119_999), 'waiting');
  assert.deepEqual(at(mark('b'), 120_000).inService, 'two');
  for (const awaited of [
    '',
    `${'a'.repeat(64)}@2026-01-01T00:00:00Z`,
    `${'b'.repeat(64)}@2026-01-01T00:00:01Z`,
  ])
    assert.equal(stepOf(mark('b'), 999_999_999, awaited), 'publishing', 'the word of an earlier roll-over');
});

test('pods that are silent for a while do not move the time since when a word counts', () => {
  const awaited = `${'b'.repeat(64)}@2026-01-01T00:00:00.900Z`;
  const given = { awaited, now: Date.parse('2026-01-01T01:00:00Z') };
  for (const world of [worldByHand(given), { ...worldByHand(given), pods: [] }]) {
    const plan = planKeys(world);
    assert.equal(plan.next?.step.kind, 'publishing');
    assert.equal(plan.inService, 'one');
    assert.deepEqual(describeMarks(world, plan).policy, { [ANNOTATIONS.awaited]: awaited });
  }
});

test('without dns.tlsa another Secret is served at once', () => {
  const relay = relayObject({ tls: { secretName: 'two' } });
  const plan = planKeys({ relay, objects: new Map(), pods: [], leaving: [], now: 0 });
  assert.deepEqual(plan, { inService: 'two', former: [] });
});
