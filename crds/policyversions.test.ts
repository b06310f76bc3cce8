/**
 * Relays and operators of different versions understand each other within one format of the policy file. The files of
 * the fixtures are as the first operator of the format wrote them. They never change; a new format gets new ones.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SPECS } from '#test/fixtures/fullspec.ts';
import { effectivePolicy } from './effective.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { hashContent, POLICY_FORMAT, parsePolicy, printPolicy } from './policyfile.ts';

/** Fields of the spec whose keys in the policy are newer than the format. */
const NEWER: readonly (readonly [parent: string, field: string])[] = [['inbound', 'feedbackReports']];

const NAMES = ['full', 'small'] as const;

const readFirst = (name: string) =>
  readFileSync(new URL(`../test/fixtures/policyv${POLICY_FORMAT}/${name}.json`, import.meta.url), 'utf8');

function render(name: (typeof NAMES)[number], leavesOut: typeof NEWER): string {
  const spec = structuredClone(SPECS[name]) as unknown as Record<string, Record<string, unknown>>;
  for (const [parent, field] of leavesOut) delete spec[parent]?.[field];
  return printPolicy(effectivePolicy({ name: 'relay', namespace: 'mail' }, spec as unknown as MailRelaySpec));
}

/** The keys with their parents. The places in a list count as one. */
function listKeys(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => listKeys(item, `${path}[]`));
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    `${path}.${key}`,
    ...listKeys(inner, `${path}.${key}`),
  ]);
}

const known = new Set(NAMES.flatMap((name) => listKeys(JSON.parse(readFirst(name)))));
const unknown = (text: string) => [...new Set(listKeys(JSON.parse(text)))].filter((key) => !known.has(key));

for (const name of NAMES) {
  test(`this relay reads the ${name} policy of the first operator of the format, and gives it the same hash`, () => {
    const parsed = parsePolicy(readFirst(name));
    assert.ok(parsed.kind === 'policy', JSON.stringify(parsed).slice(0, 300));
    assert.equal(hashContent(parsed.policy), hashContent(JSON.parse(readFirst(name))));
  });

  test(`the first relay of the format knows every key of the ${name} policy without newer fields`, () => {
    assert.deepEqual(unknown(render(name, NEWER)), []);
  });
}

test('a newer key is written where its field is set', () => {
  const all = unknown(render('full', []));
  for (const [index, [parent, field]] of NEWER.entries()) {
    assert.ok(all.includes(`.${parent}.${field}`), field);
    assert.ok(!unknown(render('full', NEWER.slice(index, index + 1))).includes(`.${parent}.${field}`), field);
  }
});
