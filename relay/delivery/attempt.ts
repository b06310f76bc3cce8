/**
 * One attempt to deliver a message to a destination: its next hops in order, until one of them answers. What none of
 * them takes in is `unreachable`, with the reason of each.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Courier, HopTls, NextHop, Parcel } from './courier.ts';
import type { FailedHops } from './failedhops.ts';
import { orderHops } from './hoporder.ts';
import { type Resolved, resolveHops } from './resolver.ts';
import type { Destination } from './route.ts';
import type { Verdict } from './verdict.ts';

export type AttemptResult =
  | {
      kind: 'answered';
      hop: string;
      verdicts: readonly Verdict[];
      tls: HopTls | null;
      tellsSender: boolean;
      /** Why other hops were not the one. */
      passedOver: readonly string[];
    }
  | { kind: 'unreachable'; reason: string; loginRefused: boolean; hadSession: boolean };

export interface AttemptDeps {
  readonly courier: Courier;
  readonly policy: Policy;
  readonly random: () => number;
  readonly failedHops: FailedHops;
}

export async function attempt(
  destination: Destination,
  parcel: Parcel,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const resolved = await hopsOf(destination, deps.policy);
  if (resolved.kind === 'deferred')
    return { kind: 'unreachable', reason: resolved.reason, loginRefused: false, hadSession: false };
  if (resolved.kind === 'refused') return refusedByDns(destination, parcel, resolved);
  return firstOf(deps.failedHops.last(orderHops(resolved.hops, deps.random)), parcel, deps);
}

/** RFC 5321 section 5.1: one hop after the other. A deferral counts once no other hop has given more. */
async function firstOf(
  hops: readonly NextHop[],
  parcel: Parcel,
  { courier, failedHops }: AttemptDeps,
): Promise<AttemptResult> {
  const reasons: string[] = [];
  let [loginRefused, hadSession] = [false, false];
  let deferral: AttemptResult | undefined;
  for (const hop of hops) {
    const result = await courier.deliver(hop, parcel);
    if (result.kind === 'answered') {
      failedHops.answered(hop);
      const answer: AttemptResult = { ...result, hop: `${hop.host}:${hop.port}`, passedOver: [...reasons] };
      if (!result.mayTryAnother) return answer;
      deferral ??= answer;
    } else {
      reasons.push(result.reason);
      loginRefused ||= result.loginRefused;
      hadSession ||= result.hadSession;
      if (!result.hadSession) failedHops.failed(hop, result);
    }
  }
  return deferral ?? { kind: 'unreachable', reason: reasons.join('; '), loginRefused, hadSession };
}

function refusedByDns(destination: Destination, { to }: Parcel, verdict: Verdict): AttemptResult {
  return {
    kind: 'answered',
    hop: destination.name,
    verdicts: to.map(() => verdict),
    tls: null,
    tellsSender: false,
    passedOver: [],
  };
}

async function hopsOf(destination: Destination, { hostname, outbound }: Policy): Promise<Resolved> {
  if (destination.kind === 'hops') return { kind: 'hops', hops: destination.hops };
  const { trustConfigMap, ipFamily } = outbound;
  return resolveHops(
    destination.domain,
    { tlsLevel: destination.tlsLevel, trustConfigMap, ipFamily },
    hostname,
  );
}
