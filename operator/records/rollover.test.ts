/**
 * The roll-over of a published key in a small world: cert-manager, kubelets, external-dns and resolvers with caches do
 * what they like, the operator may end after any of its writes, people change their minds. No sender ever has a copy of
 * the records that lacks the key that it meets.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import {
  type Event,
  KEY_OF_TWO,
  Little,
  LONGEST_MS,
  SECRETS,
  settle,
  TTLS,
} from '#test/fixtures/rollingkey.ts';
import fc from '#test/kit/property.ts';
import type { KubeObject } from '../kube/client.ts';
import { listRecords } from './list.ts';

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
