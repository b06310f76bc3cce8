/** Rules over several fields of spec.pod and spec.service. They are part of the list in rules.ts. */
import { BlockList } from 'node:net';
import type { MailRelaySpec } from './mailrelay.ts';
import { addNetwork } from './networks.ts';
import type { Rule } from './rule.ts';
import { GROUP, OWN_LABELS } from './wellknown.ts';

const RESERVED = `${GROUP}/`;

/** The parts of a spec that add annotations, and those that add labels, to objects of the operator. */
const ANNOTATED = ['pod', 'service', 'serviceAccount'] as const;
const LABELLED = ['pod', 'service', 'podMonitor'] as const;

const keysOf = (entries: Readonly<Record<string, string>> | undefined) => Object.keys(entries ?? {});
const isFree = (key: string) => !key.startsWith(RESERVED);

// The same conditions in CEL.
const celEveryKey = (parts: readonly string[], map: string, test: string) =>
  parts
    .map(
      (part) => `(!has(self.${part}) || !has(self.${part}.${map}) || self.${part}.${map}.all(key, ${test}))`,
    )
    .join(' && ');
const CEL_FREE = `!key.startsWith('${RESERVED}')`;
const CEL_OWN_LABELS = `['${OWN_LABELS.join("', '")}']`;
const CEL_REACHED = "(has(self.service) && has(self.service.type) && self.service.type != 'ClusterIP')";
const isReached = ({ service }: MailRelaySpec) => (service?.type ?? 'ClusterIP') !== 'ClusterIP';
const nodePorts = ({ inbound }: MailRelaySpec) =>
  inbound.listeners.flatMap(({ nodePort }) => (nodePort === undefined ? [] : [nodePort]));

const tolerations = ({ pod }: MailRelaySpec) => pod?.tolerations ?? [];
const celEveryToleration = (test: string) =>
  `!has(self.pod) || !has(self.pod.tolerations) || self.pod.tolerations.all(t, ${test})`;

export const WORKLOAD_RULES: readonly Rule[] = [
  {
    path: 'spec.pod.tolerations',
    cel: celEveryToleration("has(t.operator) && t.operator == 'Exists' ? !has(t.value) : has(t.key)"),
    message:
      'a toleration compares the value of a key, or with operator Exists has no value: set its key, or set operator: Exists and remove its value',
    holds: (spec) =>
      tolerations(spec).every(({ key, operator, value }) =>
        operator === 'Exists' ? value === undefined : key !== undefined,
      ),
  },
  {
    path: 'spec.pod.tolerations',
    cel: celEveryToleration("!has(t.tolerationSeconds) || (has(t.effect) && t.effect == 'NoExecute')"),
    message:
      'tolerationSeconds of a toleration is for taints of effect NoExecute: set effect: NoExecute, or remove it',
    holds: (spec) =>
      tolerations(spec).every(
        ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === 'NoExecute',
      ),
  },
  {
    path: 'spec.service',
    cel: `!has(self.service) || !has(self.service.externalTrafficPolicy) || ${CEL_REACHED}`,
    message: 'service.externalTrafficPolicy is for NodePort and LoadBalancer: set service.type, or remove it',
    holds: (spec) => spec.service?.externalTrafficPolicy === undefined || isReached(spec),
  },
  {
    path: 'spec.inbound.listeners',
    cel: `self.inbound.listeners.all(l, !has(l.nodePort) || (${CEL_REACHED} && self.inbound.listeners.exists_one(m, has(m.nodePort) && m.nodePort == l.nodePort)))`,
    message:
      'a nodePort of a listener is for NodePort and LoadBalancer, and for one listener alone: set service.type, give each listener its own, or remove it',
    holds: (spec) => {
      const ports = nodePorts(spec);
      return ports.length === 0 || (isReached(spec) && new Set(ports).size === ports.length);
    },
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
      (service?.loadBalancerSourceRanges ?? []).every((range) => addNetwork(range, new BlockList())),
  },
  {
    path: 'spec',
    cel: celEveryKey(ANNOTATED, 'annotations', CEL_FREE),
    message: `annotations under ${RESERVED} are those of the operator: give yours in ${ANNOTATED.join(', ')} another prefix`,
    holds: (spec) => ANNOTATED.every((part) => keysOf(spec[part]?.annotations).every(isFree)),
  },
  {
    path: 'spec',
    cel: celEveryKey(LABELLED, 'labels', `${CEL_FREE} && !(key in ${CEL_OWN_LABELS})`),
    message: `the operator selects its objects by labels under ${RESERVED} and by ${OWN_LABELS.join(', ')}: give yours in ${LABELLED.join(', ')} other keys`,
    holds: (spec) =>
      LABELLED.every((part) =>
        keysOf(spec[part]?.labels).every((key) => isFree(key) && !OWN_LABELS.includes(key)),
      ),
  },
];
