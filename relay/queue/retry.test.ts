import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Provider } from '#crds/policyfile.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { chooseRetry, findSchedule, findShortestExpiry } from './retry.ts';

const quick = { minSeconds: 10, maxSeconds: 60 };
const slow = { minSeconds: 300, maxSeconds: 7_200 };
const provider: Provider = {
  name: 'big',
  mxHosts: ['*.big.example'],
  limits: { connections: null, messagesPerMinute: null, messagesPerConnection: 100 },
  warmUp: null,
  retry: { backoff: slow, expireAfterSeconds: 86_400 },
};

test('what the route sets goes before what the provider sets, field by field', () => {
  const none = { backoff: null, expireAfterSeconds: null };
  assert.deepEqual(chooseRetry(undefined, undefined), none);
  assert.deepEqual(chooseRetry(undefined, null), none);
  assert.deepEqual(chooseRetry(undefined, provider.retry), provider.retry);
  assert.deepEqual(chooseRetry({ backoff: quick, expireAfterSeconds: null }, provider.retry), {
    backoff: quick,
    expireAfterSeconds: 86_400,
  });
  assert.deepEqual(chooseRetry({ backoff: null, expireAfterSeconds: 900 }, provider.retry), {
    backoff: slow,
    expireAfterSeconds: 900,
  });
});

test('the schedule for people names the field that decides', () => {
  const policy = policyOf();
  const route = { rule: 'outbound.routes[1] (MX)', retry: { backoff: quick, expireAfterSeconds: null } };
  assert.deepEqual(findSchedule(policy, route, provider), {
    pausesSeconds: [10, 20, 50, 60],
    rule: 'outbound.routes[1].retry',
    expireAfterSeconds: 86_400,
    expiryRule: 'outbound.providers, big',
  });
  assert.deepEqual(findSchedule(policy, { rule: 'outbound.tls (MX)' }, null), {
    pausesSeconds: [60, 120, 300, 600, 1_200, 1_800],
    rule: null,
    expireAfterSeconds: policy.queue.expireAfterSeconds,
    expiryRule: 'queue.expireAfter',
  });
});

test('mail may expire as early as the shortest field says', () => {
  const { outbound, ...policy } = policyOf();
  const usual = policy.queue.expireAfterSeconds;
  assert.equal(findShortestExpiry({ ...policy, outbound }), usual);
  assert.equal(findShortestExpiry({ ...policy, outbound: { ...outbound, providers: [provider] } }), 86_400);
  const patient = { ...provider, retry: { backoff: null, expireAfterSeconds: 2 * usual } };
  assert.equal(findShortestExpiry({ ...policy, outbound: { ...outbound, providers: [patient] } }), usual);
});
