/** The check of an open relay: anybody can reach a listener that relays for whatever address he has or claims. Pure. */
import { common, isWide, publicNetworks, type Range, rangesOf } from '#crds/networkranges.ts';
import type { Listener } from '#crds/policyfile.ts';
import { type Check, is } from './finding.ts';
import { listed } from './words.ts';

const WORLD = rangesOf(['::/0']);

/** A listener that can be reached from outside relays for anybody. */
export const openRelay: Check = ({ relay, policy }) => {
  const { type = 'ClusterIP', loadBalancerSourceRanges } = relay.spec.service ?? {};
  if (type === 'ClusterIP' || !policy) return undefined;
  const isFenced = type === 'LoadBalancer' && loadBalancerSourceRanges;
  const reached = isFenced ? rangesOf(loadBalancerSourceRanges) : WORLD;
  for (const listener of policy.inbound.listeners) {
    const why = findOpening(listener, reached);
    if (!why) continue;
    const text = `Anybody may relay through listener ${listener.name}: ${why.found}, and a Service of type ${type}`;
    return is('False', 'OpenRelay', `${text}: ${why.cure}`);
  }
  return undefined;
};

/** Undefined if the listener relays only for some, or only to some. `reached` has the addresses that can connect. */
function findOpening({ clients, auth, proxyNetworks }: Listener, reached: readonly Range[]) {
  const { networks, recipientDomains } = clients;
  if (auth === 'Required' || networks.length === 0) return undefined;
  // As with accepted domains, nobody reaches strangers through the relay. senderDomains limits nobody: anybody writes
  // any sender.
  if (recipientDomains !== null && !recipientDomains.some(isTopLevel)) return undefined;
  // Whoever counts as a proxy says which address he has.
  if (isWide(common(rangesOf(proxyNetworks), reached))) {
    const found = `${listed(publicNetworks(proxyNetworks))} in proxyProtocol.networks, so that anybody may claim an address of clients.networks`;
    return { found, cure: 'name the networks of your own proxies' };
  }
  if (!isWide(common(rangesOf(networks), reached))) return undefined;
  const found = `${listed(publicNetworks(networks))} in clients.networks`;
  return { found, cure: 'name the networks of your own clients' };
}

/** A pattern such as `*.com`. */
const isTopLevel = (pattern: string) => /^\*\.[^.]+$/.test(pattern);
