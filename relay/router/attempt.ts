/**
 * One attempt to deliver a message to a destination: its next hops in order, until one of them answers. What none of
 * them takes in is `unreachable`, with the reason of each.
 */
import type { Taken } from '../spool/spool.ts';
import type { Verdict } from './classify.ts';
import type { Courier, NextHop, TlsFacts } from './courier.ts';
import { type Resolved, resolveHops } from './resolver.ts';
import type { Destination } from './route.ts';

export type Outcome =
  | { kind: 'answered'; hop: string; verdicts: readonly Verdict[]; tls: TlsFacts | null }
  | { kind: 'unreachable'; reason: string };

export async function attempt(
  destination: Destination,
  { record, open }: Taken & { kind: 'message' },
  to: readonly string[],
  { courier, ourName }: { courier: Courier; ourName: string },
): Promise<Outcome> {
  const resolved = await hopsOf(destination, ourName);
  if (resolved.kind === 'deferred') return { kind: 'unreachable', reason: resolved.reason };
  if (resolved.kind === 'refused') {
    return { kind: 'answered', hop: destination.name, verdicts: to.map(() => resolved), tls: null };
  }
  const { from, bytes, eightBit } = record;
  const reasons: string[] = [];
  for (const hop of resolved.hops) {
    const result = await courier.deliver(hop, { from, to, bytes, eightBit, open });
    if (result.kind === 'answered') return { ...result, hop: nameOf(hop) };
    reasons.push(result.reason);
  }
  return { kind: 'unreachable', reason: reasons.join('; ') };
}

async function hopsOf(destination: Destination, ourName: string): Promise<Resolved> {
  if (destination.kind === 'hops') return { kind: 'hops', hops: destination.hops };
  return resolveHops(destination.domain, destination.tlsLevel, ourName);
}

function nameOf({ host, port }: NextHop): string {
  return `${host}:${port}`;
}
