/**
 * Which provider of the policy a mail host belongs to. A provider serves many domains by MX hosts of its own, so these
 * domains share its limits. Hosts of the manifest belong to none: their route has limits. Pure.
 */
import { compilePatterns } from '#crds/patterns.ts';
import type { Provider } from '#crds/policyfile.ts';
import type { NextHop } from './courier.ts';

export interface Providers {
  /** The provider of one next hop: the first of the list that matches. */
  findFor(hop: NextHop): Provider | undefined;
  /** The provider of a domain with these next hops: the hosts of the best preference decide. */
  findForAll(hops: readonly NextHop[]): Provider | undefined;
}

/** Undefined if the policy has no provider. */
export function compileProviders(providers: readonly Provider[]): Providers | undefined {
  if (providers.length === 0) return undefined;
  const rules = providers.map((provider) => ({ provider, matches: compilePatterns(provider.mxHosts) }));
  const findFor = ({ host, mxOf }: NextHop) =>
    mxOf === undefined ? undefined : rules.find(({ matches }) => matches(host))?.provider;
  return {
    findFor,
    findForAll: (hops) => {
      const best = Math.min(...hops.map(({ priority }) => priority));
      const found = hops.filter(({ priority }) => priority === best).map(findFor);
      return providers.find((provider) => found.includes(provider));
    },
  };
}
