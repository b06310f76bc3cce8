/**
 * In which order next hops are tried: the lowest priority first; among equals by weight, at random so that hosts share
 * the load (RFC 5321 section 5.1 wants that of MX hosts), or in the order of the list where nobody has a weight. Pure:
 * randomness comes in.
 */
import type { NextHop } from './courier.ts';

export function orderHops(hops: readonly NextHop[], random: () => number): NextHop[] {
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
  // Efraimidis and Spirakis: the order of random ** (1 / weight) draws without replacement by weight.
  return equals
    .map((hop) => ({ hop, key: random() ** (1 / (hop.weight ?? 1)) }))
    .toSorted((a, b) => b.key - a.key)
    .map(({ hop }) => hop);
}
