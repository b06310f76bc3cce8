/**
 * Sorts next hops: the lowest priority first. Hops of equal priority are shuffled by weight, so that hosts share the
 * load (RFC 5321 section 5.1 requires this for MX hosts). Without weights they keep the order of the list. Pure: the
 * caller passes the randomness in.
 */
import type { NextHop } from './courier.ts';

export function orderHops(hops: readonly NextHop[], random: () => number): readonly NextHop[] {
  if (hops.length < 2) return hops;
  const priorities = [...new Set(hops.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  return priorities.flatMap((wanted) =>
    shared(
      hops.filter(({ priority }) => priority === wanted),
      random,
    ),
  );
}

function shared(equals: readonly NextHop[], random: () => number): readonly NextHop[] {
  if (equals.every(({ weight }) => weight === null)) return equals;
  // The algorithm of Efraimidis and Spirakis: sorting by random ** (1 / weight) draws by weight without replacement.
  return equals
    .map((hop) => ({ hop, key: random() ** (1 / (hop.weight ?? 1)) }))
    .toSorted((a, b) => b.key - a.key)
    .map(({ hop }) => hop);
}
