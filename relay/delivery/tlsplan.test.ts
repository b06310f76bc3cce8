import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TLS_LEVELS } from '#crds/tlslevel.ts';
import { planTls } from './tlsplan.ts';

/** The whole cross-product in words, so that a change of one promise is one line of a diff. */
function inWords(implicitTLS: boolean): string[] {
  return TLS_LEVELS.flatMap((level) =>
    (['First', 'AfterBrokenHandshake'] as const).map((attempt) => {
      const plan = planTls(level, implicitTLS, attempt);
      const how = [
        plan.secure && 'implicit',
        plan.requireTLS && 'starttls required',
        plan.opportunisticTLS && 'starttls where offered',
        plan.ignoreTLS && 'plain',
        plan.rejectUnauthorized ? 'verified' : 'unverified',
        plan.mayFallBack && 'may fall back',
      ];
      return `${level} ${attempt}: ${how.filter(Boolean).join(', ')}`;
    }),
  );
}

test('STARTTLS hops', () => {
  assert.deepEqual(inWords(false), [
    'None First: plain, unverified',
    'None AfterBrokenHandshake: plain, unverified',
    'Opportunistic First: starttls where offered, unverified, may fall back',
    'Opportunistic AfterBrokenHandshake: plain, unverified',
    'Encrypt First: starttls required, unverified',
    'Encrypt AfterBrokenHandshake: starttls required, unverified',
    'Verify First: starttls required, verified',
    'Verify AfterBrokenHandshake: starttls required, verified',
    'Dane First: starttls required, verified',
    'Dane AfterBrokenHandshake: starttls required, verified',
  ]);
});

test('implicit TLS hops', () => {
  assert.deepEqual(
    inWords(true),
    TLS_LEVELS.flatMap((level) => {
      const verified = level === 'Verify' || level === 'Dane' ? 'verified' : 'unverified';
      return [
        `${level} First: implicit, ${verified}`,
        `${level} AfterBrokenHandshake: implicit, ${verified}`,
      ];
    }),
  );
});
