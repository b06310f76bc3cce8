/**
 * One attempt to deliver a message to a destination: its next hops in order, until one of them answers. What none of
 * them takes in is `unreachable`, with the failures of all.
 */

import { type Failure, joinFailures } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { AttemptResult, Destination, HopTls, NextHop, Parcel } from './courier.ts';
import type { FailedHops } from './failedhops.ts';
import { orderHops } from './hoporder.ts';
import { type Resolved, resolveHops } from './resolver.ts';
import type { Verdict } from './verdict.ts';

export type HopResult =
  | {
      readonly kind: 'answered';
      readonly verdicts: readonly Verdict[];
      readonly tls: HopTls | null;
      readonly tellsSender: boolean;
      /** All recipients wait, and the message itself was not on its way yet: another hop may take it now. */
      readonly mayTryAnother: boolean;
    }
  | { readonly kind: 'unreachable'; readonly failure: Failure; readonly hadSession: boolean };

/** Takes a message to one hop. */
export type DeliverToHop = (hop: NextHop, parcel: Parcel) => Promise<HopResult>;

export interface AttemptDeps {
  readonly deliverToHop: DeliverToHop;
  readonly policy: Policy;
  readonly random: () => number;
  readonly failedHops: FailedHops;
}

export async function attempt(
  destination: Destination,
  parcel: Parcel,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const resolved = await findHops(destination, deps.policy);
  if (resolved.kind === 'hops')
    return tryHops(deps.failedHops.last(orderHops(resolved.hops, deps.random)), parcel, deps);
  const { failure } = resolved;
  if (!failure.permanent) return { kind: 'unreachable', failure, hadSession: false };
  const verdicts = parcel.to.map((): Verdict => ({ kind: 'failed', failure }));
  const hop = destination.name;
  return { kind: 'answered', hop, verdicts, tls: null, tellsSender: false, passedOver: [] };
}

/** RFC 5321 section 5.1: one hop after the other. A deferral counts once no other hop has given more. */
async function tryHops(
  hops: readonly NextHop[],
  parcel: Parcel,
  { deliverToHop, failedHops }: AttemptDeps,
): Promise<AttemptResult> {
  const failures: Failure[] = [];
  let hadSession = false;
  let deferral: AttemptResult | undefined;
  for (const hop of hops) {
    const result = await deliverToHop(hop, parcel);
    if (result.kind === 'answered') {
      failedHops.answered(hop);
      const { verdicts, tls, tellsSender, mayTryAnother } = result;
      const hopName = `${hop.host}:${hop.port}`;
      const passedOver = [...failures];
      const answer: AttemptResult = {
        kind: 'answered',
        hop: hopName,
        verdicts,
        tls,
        tellsSender,
        passedOver,
      };
      if (!mayTryAnother) return answer;
      deferral ??= answer;
    } else {
      failures.push(result.failure);
      hadSession ||= result.hadSession;
      if (!result.hadSession) failedHops.failed(hop, result.failure);
    }
  }
  return deferral ?? { kind: 'unreachable', failure: joinFailures(failures), hadSession };
}

async function findHops(destination: Destination, { hostname, outbound }: Policy): Promise<Resolved> {
  if (destination.kind === 'hops') return { kind: 'hops', hops: destination.hops };
  const { trustConfigMap, ipFamily } = outbound;
  return resolveHops(
    destination.domain,
    { tlsLevel: destination.tlsLevel, trustConfigMap, ipFamily },
    hostname,
  );
}
