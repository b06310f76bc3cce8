/** Rules about routes, and about the way to next hops. They are part of the list in rules.ts. */
import { isSourceAddress } from './networks.ts';
import { celEveryHop, everyHop } from './resolverrules.ts';
import type { Rule } from './rule.ts';

const isSourceList = (addresses: readonly string[] = []) =>
  addresses.every(isSourceAddress) &&
  new Set(addresses.map((address) => address.includes(':'))).size === addresses.length;

const celSourceList = (list: string) =>
  `!has(${list}) || (${list}.all(a, isIP(a) && !a.matches('^[0.:]+$')) && (size(${list}) < 2 || ${list}[0].contains(':') != ${list}[1].contains(':')))`;

export const OUTBOUND_RULES: readonly Rule[] = [
  {
    path: 'spec.outbound',
    wantsOne: true,
    cel: `!has(self.outbound) || !has(self.outbound.dkim) || self.outbound.dkim.all(k, self.outbound.dkim.exists(o, o.domain == k.domain && (!has(o.use) || o.use != 'Publish')))`,
    message:
      'no key of a domain in outbound.dkim signs, so its mail would go unsigned: set use: Sign for one of them, or remove the last key of the domain',
    holds: ({ outbound }) => {
      const keys = outbound?.dkim ?? [];
      const signing = new Set(keys.flatMap(({ domain, use }) => (use === 'Publish' ? [] : [domain])));
      return keys.every(({ domain }) => signing.has(domain));
    },
  },
  {
    path: 'spec.outbound',
    cel: '!has(self.outbound) || !has(self.outbound.dkim) || self.outbound.dkim.all(k, self.outbound.dkim.exists_one(o, o.domain == k.domain && o.selector == k.selector))',
    message: 'two keys have one DNS record: give each key of a domain in outbound.dkim another selector',
    holds: ({ outbound }) => {
      const names = (outbound?.dkim ?? []).map(({ domain, selector }) => `${selector}._domainkey.${domain}`);
      return new Set(names).size === names.length;
    },
  },
  {
    path: 'spec.outbound.routes',
    cel: '!has(self.outbound) || !has(self.outbound.routes) || self.outbound.routes.all(r, has(r.recipientDomains) || has(r.senders))',
    message:
      'a route matches everything: set its recipientDomains or its senders, or use outbound.smartHosts',
    holds: ({ outbound }) =>
      (outbound?.routes ?? []).every((r) => r.recipientDomains !== undefined || r.senders !== undefined),
  },
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || ((${celSourceList('self.outbound.sourceAddresses')}) && (!has(self.outbound.routes) || self.outbound.routes.all(r, ${celSourceList('r.sourceAddresses')})))`,
    message:
      'sourceAddresses has one IPv4 address and one IPv6 address of the pod at most: write them as 192.0.2.7 and 2001:db8::7',
    holds: ({ outbound }) =>
      isSourceList(outbound?.sourceAddresses) &&
      (outbound?.routes ?? []).every(({ sourceAddresses }) => isSourceList(sourceAddresses)),
  },
  {
    path: 'spec.outbound',
    cel: '!has(self.outbound) || (!(has(self.outbound.socksProxy) && has(self.outbound.sourceAddresses)) && (!has(self.outbound.routes) || self.outbound.routes.all(r, !(has(r.socksProxy) && has(r.sourceAddresses)))))',
    message:
      'behind a SOCKS proxy the proxy chooses the source address: remove sourceAddresses beside socksProxy, or the proxy',
    holds: ({ outbound }) =>
      [outbound, ...(outbound?.routes ?? [])].every(
        (one) => one?.socksProxy === undefined || one.sourceAddresses === undefined,
      ),
  },
  {
    path: 'spec.outbound',
    cel: `!has(self.outbound) || (${celEveryHop("!has(h.protocol) || h.protocol != 'LMTP' || (has(h.port) && h.port != 25)")})`,
    message:
      'LMTP has no port of its own and never uses port 25 (RFC 2033): set the port of the next hop to that of its LMTP service, such as 24',
    holds: (spec) =>
      everyHop(spec).every((h) => h.protocol !== 'LMTP' || (h.port !== undefined && h.port !== 25)),
  },
];
