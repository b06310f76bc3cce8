/** Rules for what judges a message before it is accepted: see rules.ts. */
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
    path: 'spec.inbound.authenticationResults',
    cel: `!${CEL_CUT_THROUGH} || !has(self.inbound.authenticationResults)`,
    message:
      'queue.mode CutThrough passes a message on while it arrives, so its results would come too late: remove inbound.authenticationResults, or use Durable',
    holds: (spec) => !isCutThrough(spec) || spec.inbound.authenticationResults === undefined,
  },
  {
    path: 'spec.inbound.authenticationResults',
    wantsOne: true,
    cel: '!has(self.inbound.authenticationResults) || !has(self.inbound.authenticationResults.arcSealDomain) || (has(self.outbound) && has(self.outbound.dkim) && self.outbound.dkim.exists(k, k.domain == self.inbound.authenticationResults.arcSealDomain))',
    message:
      'inbound.authenticationResults.arcSealDomain has no key: add one of this domain to outbound.dkim, or remove arcSealDomain',
    holds: ({ inbound, outbound }) => {
      const domain = inbound.authenticationResults?.arcSealDomain;
      return domain === undefined || (outbound?.dkim ?? []).some((key) => key.domain === domain);
    },
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
