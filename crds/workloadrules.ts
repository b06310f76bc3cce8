/** What spans several fields of spec.pod and spec.service: see rules.ts, whose list these are part of. */
import { BlockList } from 'node:net';
import type { MailRelaySpec } from './mailrelay.ts';
import { networkOf } from './networks.ts';
import type { Rule } from './rule.ts';
import { parseCpu, parseSize } from './units.ts';
import { GROUP } from './wellknown.ts';
import { DEFAULT_REQUESTS } from './workload.ts';

const RESERVED = `${GROUP}/`;

type Resource = keyof typeof DEFAULT_REQUESTS;

const isFree = (annotations: Readonly<Record<string, string>> | undefined) =>
  Object.keys(annotations ?? {}).every((key) => !key.startsWith(RESERVED));

const isWithinLimit = (
  { pod }: MailRelaySpec,
  resource: Resource,
  amount: (text: string) => number | undefined,
) => {
  const limit = pod?.resources?.limits?.[resource];
  const request = pod?.resources?.requests?.[resource] ?? DEFAULT_REQUESTS[resource];
  return limit === undefined || Number(amount(limit)) >= Number(amount(request));
};

// The same notions in CEL.
const celFree = (part: string) =>
  `(!has(self.${part}) || !has(self.${part}.annotations) || self.${part}.annotations.all(key, !key.startsWith('${RESERVED}')))`;
const RESOURCES = 'self.pod.resources';
const celWithinLimit = (resource: Resource) =>
  `(!has(${RESOURCES}.limits.${resource}) || quantity(${RESOURCES}.limits.${resource}).compareTo(quantity(has(${RESOURCES}.requests) && has(${RESOURCES}.requests.${resource}) ? ${RESOURCES}.requests.${resource} : '${DEFAULT_REQUESTS[resource]}')) >= 0)`;

export const WORKLOAD_RULES: readonly Rule[] = [
  {
    path: 'spec.service',
    cel: "!has(self.service) || !has(self.service.externalTrafficPolicy) || (has(self.service.type) && self.service.type != 'ClusterIP')",
    message: 'service.externalTrafficPolicy is for NodePort and LoadBalancer: set service.type, or remove it',
    holds: ({ service }) =>
      service?.externalTrafficPolicy === undefined ||
      (service.type !== undefined && service.type !== 'ClusterIP'),
  },
  {
    path: 'spec.service',
    cel: "!has(self.service) || !(has(self.service.loadBalancerClass) || has(self.service.loadBalancerSourceRanges)) || (has(self.service.type) && self.service.type == 'LoadBalancer')",
    message:
      'service.loadBalancerClass and loadBalancerSourceRanges are for load balancers: set service.type: LoadBalancer, or remove them',
    holds: ({ service }) =>
      (service?.loadBalancerClass === undefined && service?.loadBalancerSourceRanges === undefined) ||
      service.type === 'LoadBalancer',
  },
  {
    path: 'spec.service.loadBalancerSourceRanges',
    cel: '!has(self.service) || !has(self.service.loadBalancerSourceRanges) || self.service.loadBalancerSourceRanges.all(n, isCIDR(n))',
    message: 'a source range is not a CIDR: write it as 203.0.113.0/24 or 2001:db8::/32',
    holds: ({ service }) =>
      (service?.loadBalancerSourceRanges ?? []).every((range) => networkOf(range, new BlockList())),
  },
  {
    path: 'spec',
    cel: `${celFree('pod')} && ${celFree('service')}`,
    message: `annotations under ${RESERVED} are those of the operator: give yours in pod.annotations and service.annotations another prefix`,
    holds: ({ pod, service }) => isFree(pod?.annotations) && isFree(service?.annotations),
  },
  {
    path: 'spec.pod.resources',
    cel: `!has(self.pod) || !has(${RESOURCES}) || !has(${RESOURCES}.limits) || (${celWithinLimit('cpu')} && ${celWithinLimit('memory')})`,
    message: `a limit of pod.resources is below its request, which is cpu ${DEFAULT_REQUESTS.cpu} and memory ${DEFAULT_REQUESTS.memory} unless set: raise the limit, or set a smaller request`,
    holds: (spec) => isWithinLimit(spec, 'cpu', parseCpu) && isWithinLimit(spec, 'memory', parseSize),
  },
];
