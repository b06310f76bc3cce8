/** Rules about how hard destinations and providers are used. They are part of the list in rules.ts. */
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';

export const SHAPING_RULES: readonly Rule[] = [
  {
    path: 'spec.outbound',
    cel: `!${CEL_CUT_THROUGH} || !has(self.outbound) || (!has(self.outbound.providers) && (!has(self.outbound.limits) || !(has(self.outbound.limits.connectionsPerDestination) || has(self.outbound.limits.messagesPerDestinationPerMinute))) && (!has(self.outbound.routes) || self.outbound.routes.all(r, !has(r.limits))))`,
    message:
      'queue.mode CutThrough delivers as fast as clients send, because nothing can wait: remove connectionsPerDestination and messagesPerDestinationPerMinute from outbound.limits, limits from outbound.routes, and outbound.providers, and limit clients by inbound.limits, or use Durable',
    holds: (spec) =>
      !isCutThrough(spec) ||
      (spec.outbound?.providers === undefined &&
        spec.outbound?.limits?.connectionsPerDestination === undefined &&
        spec.outbound?.limits?.messagesPerDestinationPerMinute === undefined &&
        (spec.outbound?.routes ?? []).every(({ limits }) => limits === undefined)),
  },
  {
    path: 'spec.outbound.providers',
    cel: '!has(self.outbound) || !has(self.outbound.providers) || self.outbound.providers.all(p, self.outbound.providers.exists_one(q, q.name == p.name))',
    message: 'two providers have the same name: give each its own, or write their mxHosts into one list',
    holds: ({ outbound }) => {
      const names = (outbound?.providers ?? []).map(({ name }) => name);
      return new Set(names).size === names.length;
    },
  },
  {
    path: 'spec.outbound.providers',
    cel: '!has(self.outbound) || !has(self.outbound.providers) || self.outbound.providers.all(p, !has(p.warmUp) || (has(p.limits) && has(p.limits.messagesPerMinute) && p.warmUp.messagesPerHour <= p.limits.messagesPerMinute * 60))',
    message:
      'a warm-up grows up to limits.messagesPerMinute: set it for the provider, to at least a sixtieth of warmUp.messagesPerHour',
    holds: ({ outbound }) =>
      (outbound?.providers ?? []).every(
        ({ warmUp, limits }) =>
          warmUp === undefined || warmUp.messagesPerHour <= (limits?.messagesPerMinute ?? 0) * 60,
      ),
  },
];
