/**
 * Which tasks a new policy restarts: the inbound side is the listener's, the outbound side and the queue are the
 * router's, the names are both's. Held against crds/restart.ts by its test. Pure.
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

function listenerSlice({ name, namespace, hostname, inbound }: Policy) {
  return { name, namespace, hostname, inbound };
}

/** `usesTrustBundle` is left out: the bundle itself is hot, and so is having one. */
function routerSlice({ hostname, outbound, queue }: Policy) {
  const { usesTrustBundle: _, ...rest } = outbound;
  return { hostname, outbound: rest, queue };
}
