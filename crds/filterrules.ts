/** Rules for `spec.inbound.filter`: see rules.ts. */
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';

export const FILTER_RULES: readonly Rule[] = [
  {
    path: 'spec.inbound.filter',
    cel: `!${CEL_CUT_THROUGH} || !has(self.inbound.filter)`,
    message:
      'queue.mode CutThrough passes a message on while it arrives, so a filter would be asked too late: remove inbound.filter, or use Durable',
    holds: (spec) => !isCutThrough(spec) || spec.inbound.filter === undefined,
  },
  {
    path: 'spec.inbound.listeners',
    cel: 'has(self.inbound.filter) || self.inbound.listeners.all(l, !has(l.filter))',
    message:
      'a listener has a filter, but inbound.filter does not say where the filter is: set inbound.filter.url, or remove the filter of the listener',
    holds: ({ inbound }) =>
      inbound.filter !== undefined || inbound.listeners.every(({ filter }) => filter === undefined),
  },
];
