import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import type { RollOverStep } from '../records/keyplan.ts';
import { judge } from './chain.ts';

const DIGEST = 'b'.repeat(64);
const certificate = (name: string, secretName: string, message?: string): [string, KubeObject] => [
  `Certificate/${name}`,
  {
    kind: 'Certificate',
    metadata: { name },
    spec: { secretName },
    status: { conditions: message ? [{ type: 'Issuing', status: 'True', message }] : [] },
  } as never,
];

function soundnessAt(step: RollOverStep, dns: object, objects: [string, KubeObject][] = [], word?: string) {
  const bare = relayObject({ dns: { tlsa: true, ...dns }, tls: { secretName: 'one' } });
  const annotations = word === undefined ? {} : { [ANNOTATIONS.published]: word };
  const relay = { ...bare, metadata: { ...bare.metadata, annotations } };
  const world = settledWorld({
    relay,
    keys: { inService: 'one', next: { secret: 'two', step }, former: [] },
  });
  const all = new Map([...world.objects, ...objects]);
  return judge({ ...world, objects: all, obstacles: [] });
}

const ENDPOINT = { publish: 'DNSEndpoint' };
const COMMAND = `kubectl annotate -n mail mailrelay relay --overwrite ${ANNOTATIONS.published}=${DIGEST}@`;
type Publishing = Extract<RollOverStep, { kind: 'publishing' }>;
const LACKING = { kind: 'lacking', name: '_25._tcp.a.example', value: '3 1 1 bb' } as const;
const publishing = (proof: Publishing['proof']): Publishing => ({
  kind: 'publishing',
  digest: DIGEST,
  since: 0,
  proof,
});

test('a roll-over is no fault, and says for what it waits', () => {
  const until = Date.parse('2026-01-01T02:00:00Z');
  const cases: [RollOverStep, RegExp][] = [
    [
      { kind: 'issuing' },
      /Secret one is served until every pod has the next one: see that the Secret has a valid/,
    ],
    [publishing({ kind: 'unwritten' }), /until DNS shows the records of both keys$/],
    [publishing({ kind: 'unasked' }), /until DNS shows the records of both keys$/],
    [publishing(LACKING), /_25\._tcp\.a\.example has no TLSA record 3 1 1 bb: see that external-dns runs/],
    [publishing({ kind: 'proven' }), /tlsa-published of DNSEndpoint\/relay has to say since when; if this/],
    [{ kind: 'waiting', digest: DIGEST, since: 0, until }, /until 2026-01-01T02:00:00Z, when no sender/],
  ];
  for (const [step, text] of cases) {
    const { ConfigurationSound: sound, Ready, Stalled } = soundnessAt(step, ENDPOINT);
    assert.deepEqual([sound?.status, sound?.reason], ['True', 'KeyRollsOver']);
    assert.match(sound?.message ?? '', text);
    assert.deepEqual([Ready?.status, Stalled], ['True', undefined]);
  }
});

test('cert-manager is quoted while it does not issue the second certificate', () => {
  const objects = [certificate('relay', 'one'), certificate('relay-x', 'two', 'the order is pending')];
  const { ConfigurationSound: sound } = soundnessAt({ kind: 'issuing' }, ENDPOINT, objects);
  assert.match(sound?.message ?? '', /cert-manager: the order is pending/);
});

test('a person who publishes the records is told which one DNS lacks, and gets the command for a split DNS', () => {
  for (const dns of [{}, { publish: 'None' }, { ...ENDPOINT, recordTypes: ['TXT'] }]) {
    const { ConfigurationSound: sound } = soundnessAt(publishing(LACKING), dns);
    assert.deepEqual([sound?.status, sound?.reason], ['False', 'KeyAwaitsPublishing']);
    assert.match(sound?.message ?? '', /publish the TLSA records of status\.dnsRecords/);
    assert.ok(sound?.message.includes(COMMAND), String(sound?.message));
    const { ConfigurationSound: before } = soundnessAt(publishing({ kind: 'unasked' }), dns);
    assert.deepEqual([before?.status, before?.reason], ['True', 'KeyRollsOver']);
  }
});

test('a look-up that fails is told with its cure, whoever publishes', () => {
  const failed = publishing({ kind: 'failed', name: '_25._tcp.a.example', why: 'no name server answers' });
  for (const dns of [{}, ENDPOINT]) {
    const { ConfigurationSound: sound, Ready } = soundnessAt(failed, dns);
    assert.deepEqual([sound?.status, sound?.reason], ['Unknown', 'KeyAwaitsPublishing']);
    assert.match(
      sound?.message ?? '',
      /look-up of _25\._tcp\.a\.example fails: no name server answers: let the pods of the operator reach a name server/,
    );
    assert.ok(sound?.message.includes(COMMAND), String(sound?.message));
    assert.equal(Ready?.status, 'True');
  }
});

test('a word that does not count is told, with the reason', () => {
  const since = Date.parse('2026-01-01T12:00:00Z');
  const failed = { kind: 'failed', name: '_25._tcp.a.example', why: 'no name server answers' } as const;
  const said = (proof: Publishing['proof'], word: string) =>
    soundnessAt({ ...publishing(proof), since }, {}, [], word).ConfigurationSound?.message ?? '';
  for (const proof of [failed, LACKING, { kind: 'unasked' }] as const) {
    assert.match(
      said(proof, `${DIGEST}@2026-01-01T10:30:00Z`),
      /tlsa-published of the MailRelay does not count: it says 2026-01-01T10:30:00Z, and the operator waits for this proof only since 2026-01-01T12:00:00Z$/,
    );
    assert.doesNotMatch(said(proof, `${'a'.repeat(64)}@2026-01-01T10:30:00Z`), /does not count/);
  }
});
