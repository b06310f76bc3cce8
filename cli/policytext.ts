/** A policy in words, for `mailrelay run` and `mailrelay status`. Pure. */
import type { PolicySummary } from '#crds/policysummary.ts';

type ListenerSummary = PolicySummary['listeners'][number];
type ClientPolicySummary = PolicySummary['clientPolicies'][number];

export function describeListener({ implicitTLS, starttls, auth, lineEndings }: ListenerSummary): string {
  const login = auth === 'Disabled' ? '' : `, login ${auth}`;
  const lines = lineEndings === 'Strict' ? '' : `, line endings ${lineEndings}`;
  return `${implicitTLS ? 'TLS from the first byte' : `STARTTLS ${starttls}`}${login}${lines}`;
}

/** The settings that differ from those of the listener. */
export function describeClientPolicy({ starttls, minTlsVersion, lineEndings }: ClientPolicySummary): string {
  const changes = [
    ...(starttls === null ? [] : [`STARTTLS ${starttls}`]),
    ...(minTlsVersion === null ? [] : [`${minTlsVersion} or later`]),
    ...(lineEndings === null ? [] : [`line endings ${lineEndings}`]),
  ];
  return changes.join(', ');
}

export function describeNextHops({ routeCount, smartHosts }: PolicySummary['outbound']): string {
  const routes = routeCount > 0 ? `${routeCount} ${routeCount === 1 ? 'route' : 'routes'}, ` : '';
  return `${routes}${smartHosts.length > 0 ? `smart hosts ${smartHosts.join(', ')}` : 'else by MX'}`;
}
