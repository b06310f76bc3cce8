/**
 * Which tasks a new policy restarts: the inbound side is the listener's, the outbound side and the queue are the
 * router's, the names are both's. Agrees with crds/restart.ts. Pure.
 */
import { hashOf, type Policy } from '#crds/policyfile.ts';

export interface RestartPlan {
  readonly listener: boolean;
  readonly router: boolean;
}

export function planRestart(old: Policy | undefined, next: Policy): RestartPlan {
  return {
    listener: old === undefined || hashOf(listenerSlice(old)) !== hashOf(listenerSlice(next)),
    router: old === undefined || hashOf(routerSlice(old)) !== hashOf(routerSlice(next)),
  };
}

/** Why this version cannot serve the policy at all, or undefined. Such a policy is refused, the old one stays. */
export function unservable({ outbound, queue }: Policy): string | undefined {
  const hops = [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts)];
  if (outbound.tlsLevel === 'Dane' || hops.some(({ tlsLevel }) => tlsLevel === 'Dane')) {
    return 'TLS level Dane is not available in this version: use Verify';
  }
  return queue.mode === 'Durable'
    ? undefined
    : `queue.mode ${queue.mode} is not available in this version: use Durable`;
}

const listenerSlice = ({ name, namespace, hostname, inbound, trace }: Policy) => ({
  name,
  namespace,
  hostname,
  inbound,
  trace,
});

/** `usesTrustBundle` is left out: the bundle itself is hot. */
const routerSlice = ({ name, namespace, hostname, outbound, queue, trace }: Policy) => ({
  name,
  namespace,
  hostname,
  outbound: { ...outbound, usesTrustBundle: undefined },
  queue,
  trace,
});
