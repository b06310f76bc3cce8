/** All objects that one MailRelay needs, in the order of their apply. Pure. */
import type { DnsRecord } from '#crds/dnsrecords.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import { renderDnsEndpoint } from '../records/endpoint.ts';
import { renderAuthority } from './authority.ts';
import { renderCertificates } from './certificate.ts';
import { renderConfigMap } from './configmap.ts';
import { renderDisruptionBudget } from './disruption.ts';
import { renderNetworkPolicy } from './networkpolicy.ts';
import { renderPodMonitor } from './podmonitor.ts';
import type { Rendered, RenderSettings } from './rendered.ts';
import { renderServiceAccount } from './serviceaccount.ts';
import { renderClientService, renderPodsService } from './services.ts';
import { renderStatefulSet } from './statefulset.ts';

export type { Rendered, RenderSettings } from './rendered.ts';

export function renderAll(
  relay: MailRelay,
  policy: Policy,
  settings: RenderSettings,
  authority = '',
  /** Higher than in the spec while pods that leave still have mail. */
  replicas = relay.spec.replicas,
  records: readonly DnsRecord[] = [],
): Rendered[] {
  return [
    renderServiceAccount(relay),
    renderConfigMap(relay, policy),
    renderAuthority(relay, authority),
    ...renderCertificates(relay, policy),
    renderNetworkPolicy(relay, policy, settings),
    renderDisruptionBudget(relay),
    renderPodsService(relay),
    renderClientService(relay, policy),
    renderDnsEndpoint(relay, records),
    renderPodMonitor(relay),
    renderStatefulSet(relay, policy, settings, replicas),
  ].filter((object) => object !== undefined);
}
