/** Rules over several fields of a peer and of the NetworkPolicy. They are part of the list in rules.ts. */
import { BlockList } from 'node:net';
import type { MailRelaySpec } from './mailrelay.ts';
import { addNetwork } from './networks.ts';
import type { Peer } from './peers.ts';
import type { Rule } from './rule.ts';

const everyPeer = ({ inbound, networkPolicy }: MailRelaySpec): Peer[] => [
  ...inbound.listeners.flatMap(({ allowFrom }) => allowFrom ?? []),
  ...(networkPolicy?.metricsFrom ?? []),
];

const everyExpression = (spec: MailRelaySpec) =>
  everyPeer(spec).flatMap(({ podSelector, namespaceSelector }) => [
    ...(podSelector?.matchExpressions ?? []),
    ...(namespaceSelector?.matchExpressions ?? []),
  ]);

// The same conditions in CEL: `p` is a peer, `e` an expression of one of its selectors.
const celEveryPeer = (test: string) =>
  [
    `self.inbound.listeners.all(l, !has(l.allowFrom) || l.allowFrom.all(p, ${test}))`,
    `(!has(self.networkPolicy) || !has(self.networkPolicy.metricsFrom) || self.networkPolicy.metricsFrom.all(p, ${test}))`,
  ].join(' && ');
const celEveryExpression = (test: string) =>
  celEveryPeer(
    ['p.podSelector', 'p.namespaceSelector']
      .map(
        (selector) =>
          `(!has(${selector}) || !has(${selector}.matchExpressions) || ${selector}.matchExpressions.all(e, ${test}))`,
      )
      .join(' && '),
  );

export const PEER_RULES: readonly Rule[] = [
  {
    path: 'spec',
    cel: celEveryPeer('has(p.ipBlock) != (has(p.podSelector) || has(p.namespaceSelector))'),
    message:
      'a peer of allowFrom or metricsFrom is pods or a network: set podSelector, namespaceSelector or both, or ipBlock alone',
    holds: (spec) =>
      everyPeer(spec).every(
        ({ ipBlock, podSelector, namespaceSelector }) =>
          (ipBlock !== undefined) !== (podSelector !== undefined || namespaceSelector !== undefined),
      ),
  },
  {
    path: 'spec',
    cel: celEveryPeer('!has(p.ipBlock) || isCIDR(p.ipBlock.cidr)'),
    message: 'the cidr of an ipBlock is none: write it as 203.0.113.0/24 or 2001:db8::/32',
    holds: (spec) =>
      everyPeer(spec).every(({ ipBlock }) => !ipBlock || addNetwork(ipBlock.cidr, new BlockList())),
  },
  {
    path: 'spec',
    cel: celEveryExpression("(e.operator in ['In', 'NotIn']) == has(e.values)"),
    message:
      'an expression of a selector has values with the operators In and NotIn, and none with Exists and DoesNotExist: add them, or remove them',
    holds: (spec) =>
      everyExpression(spec).every(
        ({ operator, values }) => ['In', 'NotIn'].includes(operator) === (values !== undefined),
      ),
  },
  {
    path: 'spec.networkPolicy',
    cel: '!has(self.networkPolicy) || !has(self.networkPolicy.enabled) || self.networkPolicy.enabled || !(has(self.networkPolicy.metricsFrom) || self.inbound.listeners.exists(l, has(l.allowFrom)))',
    message:
      'allowFrom of a listener and networkPolicy.metricsFrom are part of the NetworkPolicy: remove networkPolicy.enabled: false, or remove them',
    holds: ({ inbound, networkPolicy }) =>
      networkPolicy?.enabled !== false ||
      (networkPolicy.metricsFrom === undefined &&
        inbound.listeners.every(({ allowFrom }) => allowFrom === undefined)),
  },
];
