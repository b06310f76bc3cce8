/** A next hop with the TLS policy that the router would decide for it, and a client that goes there untraced. */
import assert from 'node:assert/strict';
import type { Policy } from '#crds/policyfile.ts';
import type { HopWay } from '#relay/delivery/attempt.ts';
import type { NextHop } from '#relay/delivery/courier.ts';
import { SmtpClient } from '#relay/delivery/smtpclient.ts';
import { NO_FINDINGS } from '#relay/delivery/tlsfindings.ts';
import { decideTls } from '#relay/delivery/tlspolicy.ts';
import type { Tracer } from '#relay/observe/trace.ts';
import { NO_MATERIALS } from '#relay/task/materials.ts';
import { policyOf } from './relayrig.ts';

export function wayTo(hop: NextHop, findings = NO_FINDINGS): HopWay {
  const decision = decideTls(hop, findings);
  assert.ok(decision.kind === 'policy', JSON.stringify(decision));
  return { hop, policy: decision.policy };
}

/** Traces nothing. */
export const SILENT: Tracer = { session: () => undefined, follows: () => false };

export function clientWith(materials = NO_MATERIALS, policy: Policy = policyOf()): SmtpClient {
  return new SmtpClient(policy, materials, SILENT);
}
