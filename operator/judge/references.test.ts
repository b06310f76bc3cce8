/** Secrets and ConfigMaps that are missing: who reads the status hears of all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { referenceMissing } from './soundness.ts';

test('of several objects that are missing the first is told with its cure, and the others by their fields', () => {
  const told = (...missing: string[]) => {
    const pods = [podView('relay-0', podReport(relayObject(), { missing }))];
    return referenceMissing({ ...settledWorld({ pods }), obstacles: [] })?.message;
  };
  const users = 'inbound.listeners[smtp].clients.credentialsSecretName: Secret "users" does not exist';
  const first = `Pod relay-0: spec.${users}: create or complete it, or correct the field`;
  assert.equal(told(), undefined);
  assert.equal(told(users), first);
  assert.equal(
    told(
      users,
      'outbound.dkim[0].secretName: Secret "dkim" lacks the key "private.key": mail waits',
      'events.webhook.secretName: Secret "hook" does not exist or is empty: events wait',
    ),
    `${first}; so it is with spec.outbound.dkim[0].secretName and spec.events.webhook.secretName`,
  );
});
