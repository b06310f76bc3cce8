/**
 * Decides which tasks a new policy restarts. The listener depends on the inbound fields, the router on the outbound
 * fields and the schedule, and both on the names and the trace. In mode CutThrough there is no router. The test
 * compares this with crds/restart.ts. Pure.
 */
import { hashContent, type Policy } from '#crds/policyfile.ts';

export interface RestartPlan {
  readonly listener: boolean;
  readonly router: boolean;
}

export function planRestart(old: Policy | undefined, next: Policy): RestartPlan {
  return {
    listener: old === undefined || hashContent(listenerSlice(old)) !== hashContent(listenerSlice(next)),
    router:
      next.queue.mode === 'Durable' &&
      (old === undefined || hashContent(routerSlice(old)) !== hashContent(routerSlice(next))),
  };
}

function listenerSlice({
  name,
  namespace,
  hostname,
  inbound,
  addresses,
  headers,
  outbound,
  queue,
  events,
  trace,
  logging,
}: Policy) {
  const { mode, maxMessages, maxBytes, historySeconds, suppression } = queue;
  // Without a queue the listener delivers by itself.
  const delivery = mode === 'CutThrough' ? outbound : null;
  // It verifies senders by the DNS.
  const resolver = inbound.authenticationResults === null ? null : outbound.resolver;
  return {
    name,
    namespace,
    hostname,
    inbound,
    addresses,
    headers,
    mode,
    maxMessages,
    maxBytes,
    historySeconds,
    suppression,
    tellsEvents: events !== null,
    delivery,
    resolver,
    trace,
    logging,
  };
}

function routerSlice({ hostname, inbound, outbound, queue, events, trace, logging }: Policy) {
  const { maxMessages: _, maxBytes: __, ...kept } = queue;
  const { tlsReports, feedbackReports, authenticationResults } = inbound;
  const arcSealDomain = authenticationResults?.arcSealDomain ?? null;
  const reports = { tlsReports, feedbackReports };
  return { hostname, reports, arcSealDomain, outbound, kept, events, trace, logging };
}
