/**
 * The pairs of a listener task for clients that ask for a name (SNI). A pair is served only for the names that its
 * certificate covers. Every other name, and a client that asks for none, gets the pair of the host name. Pure.
 */
import { listCoveredNames } from '#crds/keypair.ts';
import type { Policy } from '#crds/policyfile.ts';
import { findServedName, mapServedNames } from '#crds/sni.ts';
import type { Pairs, PairText } from '../task/messages.ts';

export interface SniNames {
  /** By Secret. */
  readonly pairs: Readonly<Record<string, PairText>>;
  /** The Secret of the pair for a client that asks for `name`; undefined: the pair of the host name. */
  readonly findSecret: (name: string) => string | undefined;
}

export function readSniNames(policy: Policy, { bySecret }: Pairs): SniNames {
  const served = mapServedNames(policy);
  const covered = new Map(
    Object.entries(bySecret).flatMap(([secret, { cert }]) => {
      const names = [...served].flatMap(([name, of]) => (of === secret ? [name] : []));
      return listCoveredNames(cert, names).map((name) => [name, secret] as const);
    }),
  );
  const inUse = new Set(covered.values());
  return {
    pairs: Object.fromEntries(Object.entries(bySecret).filter(([secret]) => inUse.has(secret))),
    // Another name may not decide in place of one whose certificate does not cover it.
    findSecret: (asked) => covered.get(findServedName(served, asked) ?? ''),
  };
}
