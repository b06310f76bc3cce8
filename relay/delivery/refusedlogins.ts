/**
 * Hops that refuse our login, as the next router gets them: a hop counts as refusing only for the contents of Secrets that
 * it has refused. A time after now was written before the clock was stepped back, and counts as now.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Materials, RefusedLogins } from '../task/materials.ts';
import type { NextHop, Refusal } from './courier.ts';
import { makeKey } from './failedhops.ts';

export interface RefusedDeps {
  readonly client: { contentsFor(hop: NextHop): Materials['secrets'] };
  readonly clock: () => number;
  readonly wall: () => number;
}

export function encodeRefused(
  refused: ReadonlyMap<string, Refusal & { readonly hop: NextHop }>,
  { client, clock, wall }: RefusedDeps,
): RefusedLogins {
  const offset = wall() - clock();
  return Object.fromEntries(
    [...refused].map(([key, { hop, failure, refusals, since, at }]) => {
      const secrets = client.contentsFor(hop);
      return [key, { failure, refusals, since: since + offset, at: at + offset, secrets }];
    }),
  );
}

export function decodeRefused(
  refused: RefusedLogins,
  hops: readonly NextHop[],
  { client, clock, wall }: RefusedDeps,
): { readonly hop: NextHop; readonly refusal: Refusal }[] {
  const now = clock();
  const offset = wall() - now;
  return hops.flatMap((hop) => {
    const known = refused[makeKey(hop)];
    if (!known || !isDeepStrictEqual(known.secrets, client.contentsFor(hop))) return [];
    const { secrets: _, since, at, ...rest } = known;
    const last = Math.min(at - offset, now);
    return [{ hop, refusal: { ...rest, at: last, since: Math.min(since - offset, last) } }];
  });
}
