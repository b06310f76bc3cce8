/** The content filter in a policy, with every default applied. Part of effective.ts. Pure. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Listener, Policy } from './policyfile.ts';
import { parseDuration, parsed } from './units.ts';

const PATH = '/checkv2';

type Inbound = MailRelaySpec['inbound'];

export function effectiveFilter({ filter }: Inbound): Policy['inbound']['filter'] {
  if (filter === undefined) return null;
  const { url, secretName, trustConfigMapName } = filter;
  const hasPath = /^https?:\/\/[^/]+\/./.test(url);
  return {
    url: hasPath ? url : `${url.replace(/\/$/, '')}${PATH}`,
    secret: secretName ?? null,
    trustConfigMap: trustConfigMapName ?? null,
  };
}

/** null: the filter is not asked here. */
export function effectiveListenerFilter(
  listener: Inbound['listeners'][number],
  { filter }: Inbound,
): Listener['filter'] {
  if (filter === undefined || listener.filter?.enabled === false) return null;
  const { timeout, onFailure } = { ...filter, ...listener.filter };
  return {
    timeoutSeconds: parsed(parseDuration, timeout ?? '30s'),
    onFailure: onFailure ?? 'Tempfail',
  };
}
