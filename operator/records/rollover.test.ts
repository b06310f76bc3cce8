/**
 * The roll-over of a published key in a small world: cert-manager, kubelets, external-dns and resolvers with caches do
 * what they like, the operator may end after any of its writes, people change their minds. No sender ever has a copy of
 * the records that lacks the key that it meets.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { podReport, podView, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import fc from '#test/kit/property.ts';
import type { KubeObject } from '../kube/client.ts';
import { renderAll } from '../render/index.ts';
import type { PodView, World } from '../world.ts';
import type { DnsAnswer, DnsView, KeyPlan } from './keyplan.ts';
import { listRecords } from './list.ts';
import { listAwaited } from './proof.ts';
import { describeMarks, nextLookMs, planKeys, withServedSecret } from './rollover.ts';

const SECRETS = ['one', 'two', 'three'] as const;
const TTLS = ['1m', '10m', '1h'] as const;
const LONGEST_MS = 3_600_000;
const KEY_OF_TWO = createHash('sha256').update('two').digest('hex');

type Event =
  | { kind: 'operate'; writes: number }
  | { kind: 'issue' | 'takeDns' | 'claimDns' | 'lookUp' | 'say' | 'orphan' | 'unpublish' }
  | { kind: 'roll' | 'mount' | 'silence' | 'end'; pod: number }
  | { kind: 'pass'; ms: number }
  | { kind: 'rename'; secret: string }
  | { kind: 'live'; ttl: string };

interface Pod {
  serves: string;
  next: string | undefined;
  /** The keys that it has loaded. */
  key: string | undefined;
  nextKey: string | undefined;
  isSilent: boolean;
}

interface Copy {
  readonly keys: readonly string[];
  readonly ttlMs: number;
  /** When DNS had it last; undefined: it has it. */
  until: number | undefined;
}

class Little {
  now = Date.parse('2026-01-01T00:00:00Z');
  readonly objects = new Map<string, KubeObject>();
  readonly secrets = new Map<string, string>();
  readonly pods: (Pod | undefined)[] = [];
  readonly copies: Copy[] = [];
  status: MailRelay['status'];
  plan: KeyPlan | undefined;
  view: DnsView | undefined;
  /** On the MailRelay, by a person. It stays there. */
  word: string | undefined;
  #secretName: string = SECRETS[0];
  #ttl: string = '1m';
  readonly #replicas: number;
  readonly #publish: 'DNSEndpoint' | 'None';

  constructor(replicas: number, publish: 'DNSEndpoint' | 'None' = 'DNSEndpoint') {
    this.#replicas = replicas;
    this.#publish = publish;
  }

  do(event: Event): void {
    if (event.kind === 'operate') this.#operate(event.writes);
    if (event.kind === 'issue') this.#issue();
    if (event.kind === 'takeDns') this.#takeDns();
    if (event.kind === 'claimDns') this.#claimDns();
    if (event.kind === 'lookUp') this.#lookUp();
    if (event.kind === 'say') this.#say();
    if (event.kind === 'orphan') this.objects.delete('StatefulSet/relay');
    if (event.kind === 'unpublish') this.objects.delete('DNSEndpoint/relay');
    if (event.kind === 'pass') this.now += event.ms;
    if (event.kind === 'rename') this.#secretName = event.secret;
    if (event.kind === 'live') this.#ttl = event.ttl;
    if ('pod' in event) this.#doToPod(event.kind, event.pod % this.#replicas);
  }

  #doToPod(kind: 'roll' | 'mount' | 'silence' | 'end', ordinal: number): void {
    if (kind === 'roll') this.#roll(ordinal);
    if (kind === 'mount') this.#mount(ordinal);
    if (kind === 'end') this.pods[ordinal] = undefined;
    const pod = this.pods[ordinal];
    if (kind === 'silence' && pod) pod.isSilent = true;
  }

  /** A sentence about a sender that would not deliver. */
  fault(): string | undefined {
    const served = this.pods.flatMap((pod) => pod?.key ?? []);
    const held = this.copies.filter(({ until, ttlMs }) => until === undefined || until + ttlMs > this.now);
    for (const { keys } of held)
      for (const key of served)
        if (keys.length > 0 && !keys.includes(key))
          return `${key} is served, and a sender knows ${keys.join()}`;
    return undefined;
  }

  /** Every pod serves what is wanted, and the records have its key alone. */
  get isSettled(): boolean {
    const all = this.pods.filter((pod) => pod !== undefined);
    const isServed = all.every(({ serves, next }) => serves === this.#secretName && next === undefined);
    return isServed && all.length === this.#replicas && this.copies.at(-1)?.keys.length === 1;
  }

  get served(): string {
    return this.pods.map((pod) => pod?.serves).join();
  }

  /** What gathering makes of it. */
  world(): World {
    const dns = { publish: this.#publish, tlsa: true, ttl: this.#ttl };
    const tls = { secretName: this.#secretName, issuerRef: { name: 'ca' } };
    const plain = relayObject({ replicas: this.#replicas, dns, tls });
    const said = this.word === undefined ? {} : { annotations: { [ANNOTATIONS.published]: this.word } };
    const relay = {
      ...plain,
      metadata: { ...plain.metadata, ...said },
      ...(this.status ? { status: this.status } : {}),
    };
    const pods = this.pods.flatMap((pod, ordinal) => (pod ? [this.#view(relay, pod, ordinal)] : []));
    const seen = { relay, pods, leaving: [], objects: this.objects, dns: this.view, now: this.now };
    const keys = planKeys(seen);
    const served = withServedSecret(relay, keys);
    return settledWorld({
      ...seen,
      keys,
      relay: served,
      policy: effectivePolicy(relay.metadata, served.spec),
    });
  }

  #view(relay: MailRelay, { key, next = '', nextKey, isSilent }: Pod, ordinal: number): PodView {
    const { certificate } = podReport(relay);
    const facts = (publicKeySha256: string | undefined) =>
      certificate && publicKeySha256 ? { ...certificate, publicKeySha256 } : null;
    const nextFacts = facts(nextKey);
    const nextCertificate = nextFacts && { ...nextFacts, secret: next };
    const report = podReport(relay, { certificate: facts(key), nextCertificate });
    return podView(`relay-${ordinal}`, isSilent ? undefined : report);
  }

  /** Writes at most so many objects, as if the operator ended then. */
  #operate(writes: number): void {
    const world = this.world();
    const { relay, policy, keys } = world;
    this.plan = keys;
    // As the look-ups do: see the controller.
    if (listAwaited(world).length === 0) this.view = undefined;
    assert.ok(policy && keys);
    const records = listRecords(world);
    const marks = describeMarks(world, keys);
    const wanted = renderAll(relay, policy, SETTINGS, { records, marks, keys, objects: this.objects });
    let left = writes;
    for (const object of wanted) {
      const name = `${object.kind}/${object.metadata.name}`;
      const live = this.objects.get(name);
      const isSame = JSON.stringify(live?.['spec']) === JSON.stringify(object['spec']);
      if (
        isSame &&
        JSON.stringify(live?.metadata.annotations) === JSON.stringify(object.metadata.annotations)
      )
        continue;
      if (left-- <= 0) return;
      const generation = (live?.metadata.generation ?? 0) + (isSame ? 0 : 1);
      const status = live?.['status'];
      this.objects.set(name, {
        ...object,
        metadata: { ...object.metadata, generation },
        status,
      } as KubeObject);
    }
    const names = new Set(wanted.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    for (const name of this.objects.keys()) if (!names.has(name)) this.objects.delete(name);
    this.status = { dnsRecords: records.map((record) => ({ ...record, values: [...record.values] })) };
  }

  #issue(): void {
    for (const { kind, spec } of this.objects.values()) {
      const secret = (spec as { secretName?: string } | undefined)?.secretName ?? '';
      if (kind !== 'Certificate' || this.secrets.has(secret)) continue;
      this.secrets.set(secret, createHash('sha256').update(secret).digest('hex'));
      return;
    }
  }

  /** external-dns has taken the object, and its provider does nothing with it. */
  #claimDns(): void {
    const endpoint = this.objects.get('DNSEndpoint/relay');
    if (endpoint)
      this.objects.set('DNSEndpoint/relay', {
        ...endpoint,
        status: { observedGeneration: endpoint.metadata.generation },
      });
  }

  #lookUp(): void {
    const keys = this.copies.at(-1)?.keys ?? [];
    const values = keys.map((key) => `3 1 1 ${key}`);
    this.view = new Map(listAwaited(this.world()).map(({ name }) => [name, { kind: 'found', values }]));
  }

  /** A person looks at DNS, and says so if it has what the operator waits for. */
  #say(): void {
    const step = this.plan?.next?.step;
    const keys = this.copies.at(-1)?.keys ?? [];
    const wanted = listAwaited(this.world()).flatMap(({ values }) => values);
    const isThere = wanted.length > 0 && wanted.every((value) => keys.includes(value.slice('3 1 1 '.length)));
    if (step?.kind === 'publishing' && isThere)
      this.word = `${step.digest}@${new Date(this.now).toISOString()}`;
  }

  /** By external-dns, or by a person who reads the status. */
  #takeDns(): void {
    this.#claimDns();
    const { endpoints: written = [] } = (this.objects.get('DNSEndpoint/relay')?.['spec'] ?? {}) as {
      endpoints?: { targets: string[]; recordTTL: number }[];
    };
    const told = this.status?.dnsRecords ?? [];
    const endpoints =
      this.#publish === 'None'
        ? told.map(({ values, ttl }) => ({ targets: values, recordTTL: ttl }))
        : written;
    const last = this.copies.at(-1);
    if (last) last.until = this.now;
    const keys = endpoints.flatMap(({ targets }) => targets.map((target) => target.slice('3 1 1 '.length)));
    this.copies.push({ keys, ttlMs: (endpoints[0]?.recordTTL ?? 0) * 1_000, until: undefined });
  }

  /** Makes the pod anew by the template of the StatefulSet. */
  #roll(ordinal: number): void {
    const set = this.objects.get('StatefulSet/relay');
    const { template } = (set?.['spec'] ?? {}) as {
      template?: { spec: { volumes: { name: string; secret?: { secretName: string } }[] } };
    };
    if (!template) return;
    const secretOf = (volume: string) =>
      template.spec.volumes.find(({ name }) => name === volume)?.secret?.secretName;
    const [serves = '', next] = [secretOf('certificate'), secretOf('next-certificate')];
    this.pods[ordinal] = { serves, next, key: undefined, nextKey: undefined, isSilent: true };
  }

  /** The kubelet mounts what is there, and the pod answers. */
  #mount(ordinal: number): void {
    const pod = this.pods[ordinal];
    if (!pod) return;
    pod.key = this.secrets.get(pod.serves) ?? pod.key;
    pod.nextKey = pod.next === undefined ? undefined : this.secrets.get(pod.next);
    pod.isSilent = false;
  }
}

/** Everybody does what they should, until nothing changes. */
function settle(little: Little): void {
  const all = { kind: 'operate', writes: Number.POSITIVE_INFINITY } as const;
  for (let round = 0; round < 12; round++) {
    little.do(all);
    little.do({ kind: 'issue' });
    for (const one of [0, 1, 2]) {
      little.do({ kind: 'roll', pod: one });
      little.do({ kind: 'mount', pod: one });
      little.do(all);
      assert.equal(little.fault(), undefined);
    }
    little.do({ kind: 'takeDns' });
    little.do({ kind: 'lookUp' });
    little.do(all);
    if (little.isSettled) return;
    little.do({ kind: 'pass', ms: 2 * LONGEST_MS });
  }
  assert.fail('it does not come to an end');
}

/** What usually happens next to each other. */
const ROUND: readonly Event[] = [
  { kind: 'operate', writes: 99 },
  { kind: 'issue' },
  ...[0, 1, 2].flatMap((ordinal): Event[] => [
    { kind: 'roll', pod: ordinal },
    { kind: 'mount', pod: ordinal },
  ]),
  { kind: 'operate', writes: 99 },
  { kind: 'takeDns' },
  { kind: 'lookUp' },
  { kind: 'operate', writes: 99 },
];

/** The same with an external-dns that only says so, time that passes, and pods that are replaced. */
const LYING_ROUND: readonly Event[] = [
  ...ROUND.map((one): Event => (one.kind === 'takeDns' ? { kind: 'claimDns' } : one)),
  { kind: 'pass', ms: 2 * LONGEST_MS },
];

/** The same with a person in place of look-ups, and pods that serve the next key in the end. */
const SAID_ROUND: readonly Event[] = [
  ...ROUND.map((one): Event => (one.kind === 'lookUp' ? { kind: 'say' } : one)),
  { kind: 'pass', ms: 2 * LONGEST_MS },
  ...ROUND,
];

const pod = fc.nat({ max: 2 });
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const single: fc.Arbitrary<Event> = fc.oneof(
  often(
    8,
    fc.record({ kind: fc.constant('operate' as const), writes: fc.constantFrom(0, 1, 2, 3, 5, 99, 99, 99) }),
  ),
  often(
    4,
    fc.record({
      kind: fc.constantFrom(
        'issue' as const,
        'takeDns' as const,
        'claimDns' as const,
        'lookUp' as const,
        'say' as const,
      ),
    }),
  ),
  often(6, fc.record({ kind: fc.constantFrom('roll' as const, 'mount' as const, 'mount' as const), pod })),
  often(2, fc.record({ kind: fc.constantFrom('silence' as const, 'end' as const), pod })),
  often(
    4,
    fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(10_000, 130_000, 1_300_000, 7_300_000),
    }),
  ),
  often(1, fc.record({ kind: fc.constant('rename' as const), secret: fc.constantFrom(...SECRETS) })),
  often(1, fc.record({ kind: fc.constant('live' as const), ttl: fc.constantFrom(...TTLS) })),
  often(1, fc.record({ kind: fc.constantFrom('orphan' as const, 'unpublish' as const) })),
);

const happening = fc.oneof(
  often(
    5,
    single.map((one) => [one]),
  ),
  often(1, fc.constantFrom(ROUND, LYING_ROUND, SAID_ROUND)),
);

test('whatever happens in which order, no sender has records without the key that it meets', () => {
  let rolled = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('DNSEndpoint' as const, 'None' as const),
      fc.array(happening, { minLength: 10, maxLength: 60 }),
      (replicas, publish, events) => {
        const little = new Little(replicas, publish);
        settle(little);
        const before = little.served;
        for (const [at, one] of events.flat().entries()) {
          little.do(one);
          const fault = little.fault();
          assert.equal(fault, undefined, `after ${at + 1} events: ${JSON.stringify(one)}`);
        }
        settle(little);
        if (little.served !== before) rolled += 1;
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(rolled > 10, `only ${rolled} runs rolled over`);
});

function atStep(): Little {
  const little = new Little(2);
  settle(little);
  little.do({ kind: 'rename', secret: 'two' });
  return little;
}

test('each step by itself: issued, published, waited, served', () => {
  const little = atStep();
  const all = { kind: 'operate', writes: Number.POSITIVE_INFINITY } as const;
  const stepAfter = (...events: Event[]) => {
    for (const one of [...events, all]) little.do(one);
    return little.plan?.next?.step.kind;
  };
  const rollAll: Event[] = [0, 1].flatMap((n) => [
    { kind: 'roll' as const, pod: n },
    { kind: 'mount' as const, pod: n },
  ]);
  assert.equal(stepAfter(), 'issuing');
  assert.deepEqual(
    [...little.objects.keys()].filter((name) => name.startsWith('Certificate/')).length,
    2,
    'a second Certificate',
  );
  assert.equal(stepAfter({ kind: 'issue' }, ...rollAll), 'publishing');
  assert.equal(listRecords(little.world())[0]?.values.length, 2);
  assert.equal(stepAfter(), 'publishing', 'external-dns has not looked');
  assert.equal(stepAfter({ kind: 'claimDns' }, { kind: 'lookUp' }), 'publishing', 'DNS has not got them');
  assert.deepEqual(little.plan?.next?.step, {
    kind: 'publishing',
    digest: KEY_OF_TWO,
    since: little.now,
    proof: { kind: 'lacking', name: '_25._tcp.relay.example.com', value: `3 1 1 ${KEY_OF_TWO}` },
  });
  assert.equal(stepAfter({ kind: 'takeDns' }), 'publishing', 'nobody has looked');
  assert.equal(stepAfter({ kind: 'lookUp' }), 'publishing', 'it is not noted yet');
  assert.equal(stepAfter(), 'waiting');
  assert.equal(stepAfter({ kind: 'pass', ms: 119_000 }), 'waiting');
  assert.match(
    String(little.objects.get('DNSEndpoint/relay')?.metadata.annotations?.[ANNOTATIONS.published]),
    /^[0-9a-f]{64}@2026/,
  );
  assert.equal(stepAfter({ kind: 'pass', ms: 1_000 }), undefined);
  assert.equal(little.served, 'one,one');
  assert.equal(stepAfter(...rollAll), undefined);
  assert.equal(little.served, 'two,two');
  assert.equal(listRecords(little.world())[0]?.values.length, 1);
  const certificates = [...little.objects].filter(([name]) => name.startsWith('Certificate/'));
  assert.deepEqual(
    certificates.map(([, { spec }]) => (spec as { secretName: string }).secretName),
    ['two'],
  );
});

for (const publish of ['DNSEndpoint', 'None'] as const)
  test(`a time to live that was shortened before is waited for too (dns.publish: ${publish})`, () => {
    const little = new Little(1, publish);
    little.do({ kind: 'live', ttl: '1h' });
    settle(little);
    const all = { kind: 'operate', writes: Number.POSITIVE_INFINITY } as const;
    little.do({ kind: 'live', ttl: '1m' });
    little.do(all);
    // Somebody deletes the object with the note.
    little.do({ kind: 'unpublish' });
    little.do({ kind: 'rename', secret: 'two' });
    for (const one of [
      all,
      { kind: 'issue' },
      { kind: 'roll', pod: 0 },
      { kind: 'mount', pod: 0 },
      all,
      { kind: 'takeDns' },
      { kind: 'lookUp' },
      all,
    ] as Event[])
      little.do(one);
    little.do({ kind: 'pass', ms: 600_000 });
    little.do(all);
    assert.equal(little.plan?.next?.step.kind, 'waiting');
    little.do({ kind: 'pass', ms: 2 * LONGEST_MS });
    little.do(all);
    assert.equal(little.plan?.next, undefined);
  });

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

test('the next key is served only when every pod has it, and only while it is published', () => {
  const ready = () => {
    const little = atStep();
    for (const one of [...ROUND, ...ROUND]) little.do(one);
    little.do({ kind: 'pass', ms: LONGEST_MS });
    return little;
  };
  const planOf = (little: Little) => little.world().keys?.next?.step.kind;
  assert.equal(planOf(ready()), undefined);
  for (const kind of ['silence', 'end'] as const) {
    const little = ready();
    little.do({ kind, pod: 1 });
    assert.equal(planOf(little), 'waiting', kind);
    little.do({ kind: 'roll', pod: 1 });
    little.do({ kind: 'mount', pod: 1 });
    assert.equal(planOf(little), undefined, kind);
  }
  const hiding = ready();
  const set = hiding.objects.get('StatefulSet/relay') as KubeObject;
  hiding.objects.set('StatefulSet/relay', { ...set, status: { replicas: 3 } });
  assert.equal(planOf(hiding), 'waiting', 'a pod is counted and not seen');
  const little = ready();
  const endpoint = little.objects.get('DNSEndpoint/relay') as KubeObject;
  const { endpoints } = endpoint['spec'] as { endpoints: { targets: string[] }[] };
  const cut = endpoints.map((one) => ({
    ...one,
    targets: one.targets.filter((text) => !text.includes(KEY_OF_TWO)),
  }));
  little.objects.set('DNSEndpoint/relay', {
    ...endpoint,
    spec: { endpoints: cut },
    metadata: { ...endpoint.metadata, generation: 99 },
  });
  assert.equal(planOf(little), 'publishing', 'somebody took a record away');
});

test('somebody who changes their mind is not served the key of the second Secret for that of the third', () => {
  const little = atStep();
  for (const one of [...ROUND, ...ROUND]) little.do(one);
  little.do({ kind: 'rename', secret: 'three' });
  little.do({ kind: 'pass', ms: 2 * LONGEST_MS });
  assert.equal(little.world().keys?.inService, 'one');
  settle(little);
  assert.equal(little.served, 'three,three');
});

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

test('a word that stays on the MailRelay does not count when its key is the next one again', () => {
  const little = atStep();
  for (const one of [...SAID_ROUND, ...ROUND]) little.do(one);
  assert.equal(little.served, 'two,two');
  assert.match(String(little.word), new RegExp(`^${KEY_OF_TWO}@`));
  little.do({ kind: 'rename', secret: 'one' });
  settle(little);
  little.do({ kind: 'rename', secret: 'two' });
  for (const one of LYING_ROUND) if (one.kind !== 'lookUp') little.do(one);
  little.do({ kind: 'operate', writes: 99 });
  assert.equal(little.plan?.next?.step.kind, 'publishing');
  assert.equal(little.served, 'one,one');
});

test('without dns.tlsa another Secret is served at once', () => {
  const relay = relayObject({ tls: { secretName: 'two' } });
  const plan = planKeys({ relay, objects: new Map(), pods: [], leaving: [], now: 0 });
  assert.deepEqual(plan, { inService: 'two', former: [] });
});
