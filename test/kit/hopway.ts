/** A next hop with the TLS policy that the router would decide for it. */
import assert from 'node:assert/strict';
import type { HopWay } from '#relay/delivery/attempt.ts';
import type { NextHop } from '#relay/delivery/courier.ts';
import { NO_FINDINGS } from '#relay/delivery/tlsfindings.ts';
import { decideTls } from '#relay/delivery/tlspolicy.ts';

export function wayTo(hop: NextHop, findings = NO_FINDINGS): HopWay {
  const decision = decideTls(hop, findings);
  assert.ok(decision.kind === 'policy', JSON.stringify(decision));
  return { hop, policy: decision.policy };
}
