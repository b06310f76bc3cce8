/**
 * The notations of the contract, the policy file and the schema: what is read, what is refused, and what every field
 * has.
 */
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import { makePolicy } from '#test/fixtures/effectivepolicy.ts';
import fc from '#test/kit/property.ts';
import { addNetwork, listCovers } from './networks.ts';
import { fieldsNotInForce } from './notinforce.ts';
import { hashContent, type Policy, parsePolicy, printPolicy } from './policyfile.ts';
import { mailRelaySchema, type Schema } from './schema.ts';
import { compareTlsLevels, TLS_LEVELS } from './tlslevel.ts';
import { parseCpu, parseDuration, parseSize } from './units.ts';
import { servedPort } from './wellknown.ts';

test('parseDuration reads the notation of the manifest and nothing else', () => {
  const good: [string, number][] = [
    ['5d', 432_000],
    ['90m', 5_400],
    ['1h30m', 5_400],
    ['45s', 45],
  ];
  for (const [text, seconds] of good) assert.equal(parseDuration(text), seconds, text);
  for (const text of ['', '5', 'd', '1.5h', '-1h', '5 d', '1d2h'])
    assert.equal(parseDuration(text), undefined, text);
});

test('parseSize reads Kubernetes quantities of bytes and nothing else', () => {
  const good: [string, number][] = [
    ['25Mi', 26_214_400],
    ['1.5Gi', 1_610_612_736],
    ['1000', 1000],
    ['2k', 2000],
  ];
  for (const [text, bytes] of good) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', 'Mi', '25MB', '1e3', '-1', '1,5Gi']) assert.equal(parseSize(text), undefined, text);
});

test('parseCpu reads Kubernetes quantities of cores and nothing else', () => {
  const good: [string, number][] = [
    ['500m', 500],
    ['2', 2000],
    ['1.5', 1500],
    ['0.001', 1],
  ];
  for (const [text, thousandths] of good) assert.equal(parseCpu(text), thousandths, text);
  for (const text of ['', 'm', '1.5m', '2k', '-1', '1,5', '0.0001'])
    assert.equal(parseCpu(text), undefined, text);
});

test('addNetwork and listCovers agree on addresses and CIDRs of both families', () => {
  const list = new BlockList();
  for (const text of ['10.20.0.0/16', '192.0.2.7', '2001:db8::/32']) assert.ok(addNetwork(text, list), text);
  for (const text of ['10.0.0.0/33', '10.0.0', 'fe80::1%eth0', '::/129', 'a/8', '10.0.0.0/8/8', '']) {
    assert.equal(addNetwork(text, new BlockList()), false, text);
  }
  for (const inside of ['10.20.3.4', '::ffff:10.20.3.4', '192.0.2.7', '2001:db8::5'])
    assert.ok(listCovers(list, inside), inside);
  for (const outside of ['10.21.0.1', '192.0.2.8', '2001:db9::1', 'nonsense', ''])
    assert.ok(!listCovers(list, outside), outside);
});

test('the order of TLS levels is the order of the list', () => {
  fc.assert(
    fc.property(fc.constantFrom(...TLS_LEVELS), fc.constantFrom(...TLS_LEVELS), (a, b) => {
      assert.equal(
        Math.sign(compareTlsLevels(a, b)),
        Math.sign(TLS_LEVELS.indexOf(a) - TLS_LEVELS.indexOf(b)),
      );
    }),
  );
});

test('a policy survives printing and parsing, and its hash does not depend on the order of keys', () => {
  const policy = makePolicy();
  assert.deepEqual(parsePolicy(printPolicy(policy)), { kind: 'policy', policy });
  const shuffled = Object.fromEntries(Object.entries(policy).toReversed());
  assert.equal(hashContent(shuffled), hashContent(policy));
  assert.equal(printPolicy(shuffled as Policy), printPolicy(policy));
});

test('parsePolicy names the field that is wrong and never throws', () => {
  for (const text of ['', '{', '[]', '{"format":2}']) assert.equal(parsePolicy(text).kind, 'invalid', text);
  const broken = JSON.stringify({ ...makePolicy(), hostname: 5 });
  assert.match((parsePolicy(broken) as { message: string }).message, /^hostname: /);
});

test('every field that is not enforced is named', () => {
  const asked = makePolicy({ outbound: { tls: { discover: ['DANE'] } } });
  assert.match(fieldsNotInForce(asked).join(), /outbound\.tls\.discover: DANE .*sidecar.*trustAD/);
});

test('servedPort keeps unprivileged ports and moves the others', () => {
  assert.deepEqual(
    [25, 587, 465, 1023, 1024, 2525].map(servedPort),
    [10_025, 10_587, 10_465, 11_023, 1024, 2525],
  );
});

test('no field of the schema is without a description', () => {
  const bare: string[] = [];
  walk(mailRelaySchema(), 'MailRelay', bare);
  // The API server allows no description here.
  assert.deepEqual(bare, ['MailRelay.metadata']);
});

function walk(schema: Schema, path: string, bare: string[]): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (!field.description) bare.push(`${path}.${name}`);
    walk(field.items ?? field, `${path}.${name}`, bare);
  }
}

test('every string, list and map of the schema is bounded, so that CEL rules have a cost', () => {
  const unbounded: string[] = [];
  walkBounds(mailRelaySchema().properties?.['spec'] ?? {}, 'spec', unbounded);
  assert.deepEqual(unbounded, []);
});

function walkBounds(schema: Schema, path: string, unbounded: string[]): void {
  if (schema.type === 'array' && schema['maxItems'] === undefined) unbounded.push(path);
  if (schema.type === 'string' && schema['maxLength'] === undefined && !schema['enum']) unbounded.push(path);
  if (schema.additionalProperties && schema['maxProperties'] === undefined) unbounded.push(path);
  if (schema.items) walkBounds(schema.items, `${path}[]`, unbounded);
  if (schema.additionalProperties) walkBounds(schema.additionalProperties, `${path}{}`, unbounded);
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    walkBounds(field, `${path}.${name}`, unbounded);
}
