/**
 * From a domain to next hops: MX in order of preference (RFC 5321 section 5.1), the domain itself where there is no
 * MX, nothing at all for a null MX (RFC 7505). A failing resolver is always temporary; only the domain's own answer is
 * final. An MX that is this relay is a loop.
 */
import { resolveMx } from 'node:dns/promises';
import type { TlsLevel } from '#crds/tlslevel.ts';
import type { NextHop } from './courier.ts';

export type Resolved =
  | { kind: 'hops'; hops: readonly NextHop[] }
  | { kind: 'deferred'; reason: string }
  | { kind: 'refused'; reason: string };

export async function resolveHops(domain: string, tlsLevel: TlsLevel, ourName: string): Promise<Resolved> {
  if (domain.startsWith('[')) return literalHop(domain, tlsLevel);
  try {
    const records = await resolveMx(domain);
    return hopsOf(domain, records, tlsLevel, ourName);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA') return { kind: 'hops', hops: [hopTo(domain, domain, tlsLevel)] };
    if (code === 'ENOTFOUND') return { kind: 'refused', reason: `5.1.2 The domain ${domain} does not exist` };
    return { kind: 'deferred', reason: `4.4.3 Cannot look up the MX of ${domain}: ${code ?? 'no answer'}` };
  }
}

export function hopsOf(
  domain: string,
  records: readonly { exchange: string; priority: number }[],
  tlsLevel: TlsLevel,
  ourName: string,
): Resolved {
  const sorted = records.toSorted((a, b) => a.priority - b.priority);
  if (sorted.length === 1 && sorted[0]?.exchange === '') {
    return { kind: 'refused', reason: `5.1.10 The domain ${domain} accepts no mail (null MX)` };
  }
  // Only hosts that are preferred over ourselves may get the mail, or it would come back.
  const own = sorted.findIndex(({ exchange }) => exchange.toLowerCase() === ourName);
  const better =
    own === -1 ? sorted : sorted.filter(({ priority }) => priority < (sorted[own]?.priority ?? 0));
  if (better.length === 0) return { kind: 'refused', reason: `5.4.6 The best MX of ${domain} is this relay` };
  return { kind: 'hops', hops: better.map(({ exchange }) => hopTo(exchange, domain, tlsLevel)) };
}

function literalHop(domain: string, tlsLevel: TlsLevel): Resolved {
  const address = domain.slice(1, -1).replace(/^ipv6:/i, '');
  return { kind: 'hops', hops: [hopTo(address, address, tlsLevel)] };
}

function hopTo(host: string, mxOf: string, tlsLevel: TlsLevel): NextHop {
  return { host, mxOf, port: 25, implicitTLS: false, tlsLevel, needsCredentials: false };
}
