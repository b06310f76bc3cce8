/**
 * Which conditions a world has: each case is a world, a condition and what it must say. The cases are in
 * test/fixtures/conditions.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASONS } from '#crds/conditions.ts';
import { type Case, notIssued } from '#test/fixtures/conditions/case.ts';
import { CLIENTS } from '#test/fixtures/conditions/clients.ts';
import { CONFIGURATION } from '#test/fixtures/conditions/configuration.ts';
import { ROLLOUT } from '#test/fixtures/conditions/rollout.ts';
import { SERVICE } from '#test/fixtures/conditions/service.ts';
import { assertReads } from '#test/fixtures/sentences.ts';
import { relayObject, settledWorld } from '#test/fixtures/world.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';

const CASES: readonly Case[] = [...ROLLOUT, ...SERVICE, ...CONFIGURATION, ...CLIENTS];

const world = (changes: Partial<Judged> = {}): Judged => ({
  obstacles: [],
  ...settledWorld(changes),
  ...changes,
});

for (const [what, changes, type, status, reason] of CASES) {
  test(`judge: when ${what}, ${type} is ${status ?? 'absent'}${reason ? ` (${reason})` : ''}`, () => {
    const finding = judge(world(changes))[type];
    assert.equal(finding?.status, status, finding?.message ?? 'absent');
    assert.equal(finding?.reason, reason);
    if (finding) assertReads(finding.message, `${type}: ${finding.message}`);
  });
}

test('that there is no cert-manager is told with each field that needs it, and no other', () => {
  const issuerRef = { name: 'ca' };
  for (const [spec, words] of [
    [{ tls: { issuerRef } }, /^tls\.issuerRef is set, .*fill the Secret yourself and remove it$/],
    [{ tls: { secretName: 'a', internal: { issuerRef } } }, /^tls\.internal\.issuerRef is set, /],
    [
      { tls: { issuerRef, certificates: [{ hostnames: ['b.example'], issuerRef }] } },
      /^tls\.issuerRef and tls\.certificates\[0\]\.issuerRef are set, .*Secrets yourself and remove them$/,
    ],
    [
      {
        tls: { secretName: 'a' },
        inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['a.example'] },
        dns: { mtaSTS: { mode: 'Testing', serve: { issuerRef } } },
      },
      /^dns\.mtaSTS\.serve\.issuerRef is set, /,
    ],
  ] as const) {
    const { Stalled } = judge(world({ relay: relayObject(spec), absentKinds: ['Certificate'] }));
    assert.match(Stalled?.message ?? '', words);
    assertReads(Stalled?.message ?? '', 'CertManagerMissing');
  }
});

test('a relay that takes nothing but reports is not said to take mail from nobody', () => {
  const inbound = { listeners: [{ name: 'smtp', port: 25 }], clients: {} };
  const said = (more: object) =>
    judge(world({ relay: relayObject({ inbound: { ...inbound, ...more } }) })).ConfigurationSound?.message;
  assert.match(said({}) ?? '', /^The listener takes mail from nobody: /);
  for (const field of ['tlsReports', 'feedbackReports'])
    assert.match(
      said({ [field]: { address: 'r@a.example' } }) ?? '',
      /^The listener takes no mail but reports: /,
    );
});

test('judge quotes cert-manager while nothing is issued', () => {
  assert.match(judge(world(notIssued)).CertificateReady?.message ?? '', /issuer "ca" not found/);
});

test('every documented reason has a case above, and no other, but that of a look that failed', () => {
  const reasons = new Set(['LookFailed', ...CASES.flatMap(([, , , , reason]) => reason ?? [])]);
  assert.deepEqual([...reasons].toSorted(), Object.keys(REASONS).toSorted());
});
