/** All objects that one MailRelay needs, in the order of their apply. Pure. */
import type { DnsRecord } from '#crds/dnsrecords.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import { renderDnsEndpoint } from '../records/endpoint.ts';
import type { KeyPlan } from '../records/keyplan.ts';
import type { Marks } from '../records/rollover.ts';
import type { World } from '../world.ts';
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

/** What depends on the world, and not only on the spec. */
interface Observed {
  readonly authority?: string;
  /** Higher than in the spec while pods that leave still have mail. */
  readonly replicas?: number;
  readonly records?: readonly DnsRecord[];
  readonly marks?: Marks | undefined;
  readonly keys?: KeyPlan | undefined;
  readonly objects?: World['objects'];
}

export function renderAll(
  relay: MailRelay,
  policy: Policy,
  settings: RenderSettings,
  { authority = '', replicas = relay.spec.replicas, records = [], marks, keys, objects }: Observed = {},
): Rendered[] {
  return [
    renderServiceAccount(relay),
    renderConfigMap(relay, policy, objects, marks?.policy),
    renderAuthority(relay, authority),
    ...renderCertificates(relay, policy, keys, objects),
    renderNetworkPolicy(relay, policy, settings),
    renderDisruptionBudget(relay),
    renderPodsService(relay),
    renderClientService(relay, policy),
    renderDnsEndpoint(relay, records, marks?.endpoint),
    renderPodMonitor(relay),
    renderStatefulSet(relay, policy, settings, { replicas, nextSecret: keys?.next?.secret }),
  ].filter((object) => object !== undefined);
}
