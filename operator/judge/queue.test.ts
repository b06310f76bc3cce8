/** The messages about mail that cannot be delivered: they end with the cure of the cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailureCause } from '#crds/failure.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { mailStuck, mailWaiting } from './queue.ts';

const relay = relayObject();
const HOP = 'store.example:25';

function worldWith(cause: FailureCause | undefined, oldestSeconds: number) {
  const message = 'it said no';
  const { queue } = podReport(relay);
  const report = podReport(relay, {
    queue: {
      ...queue,
      depth: 1,
      oldestSeconds,
      deferrals: [{ destination: HOP, ...(cause ? { cause } : {}), message }],
      waits: [{ destination: HOP, configured: true, withoutSuccessSeconds: 120, message }],
    },
  });
  return { ...settledWorld({ pods: [podView('relay-0', report)] }), obstacles: [] };
}

for (const [cause, end] of [
  ['starttls-missing', /it said no: let the host offer STARTTLS, or lower tls\.level for it$/],
  ['certificate-expired', /it said no: renew the certificate of the host$/],
  // An older relay does not tell it.
  [undefined, /it said no$/],
] as const) {
  test(`mail that is stuck by ${cause} is told with its cure, and so is mail that waits for long`, () => {
    assert.match(mailStuck(worldWith(cause, 5))?.message ?? '', end);
    assert.match(mailWaiting(worldWith(cause, 4_000))?.message ?? '', end);
  });
}
