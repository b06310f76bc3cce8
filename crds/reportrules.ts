/** Rules for the addresses at which reports of others are taken: see rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import { REPORT_FIELDS, type ReportField } from './reportaddresses.ts';
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';

const cel = (field: ReportField | 'alwaysBcc') => `self.inbound.${field}`;
const celAddress = (field: ReportField) => `${cel(field)}.address.lowerAscii()`;
const addressOf = ({ inbound }: MailRelaySpec, field: ReportField) => inbound[field]?.address.toLowerCase();

export const REPORT_RULES: readonly Rule[] = [
  ...REPORT_FIELDS.flatMap((field): Rule[] => [
    {
      path: 'spec.queue',
      cel: `!${CEL_CUT_THROUGH} || !has(${cel(field)})`,
      message: `queue.mode CutThrough keeps nothing on disk, so a report could neither wait nor be kept: remove inbound.${field}, or use Durable`,
      holds: (spec) => !isCutThrough(spec) || spec.inbound[field] === undefined,
    },
    {
      path: 'spec.inbound',
      cel: `!has(${cel(field)}) || !has(${cel('alwaysBcc')}) || ${celAddress(field)} != ${cel('alwaysBcc')}.lowerAscii()`,
      message: `mail for inbound.${field}.address ends at the relay, so every copy would be lost: give inbound.alwaysBcc another address`,
      holds: (spec) =>
        spec.inbound[field] === undefined || addressOf(spec, field) !== spec.inbound.alwaysBcc?.toLowerCase(),
    },
  ]),
  {
    path: 'spec.inbound',
    cel: `!has(${cel('tlsReports')}) || !has(${cel('feedbackReports')}) || ${celAddress('tlsReports')} != ${celAddress('feedbackReports')}`,
    message:
      'a mail is read as a report of one kind: give inbound.feedbackReports another address than inbound.tlsReports',
    holds: (spec) =>
      spec.inbound.tlsReports === undefined ||
      addressOf(spec, 'tlsReports') !== addressOf(spec, 'feedbackReports'),
  },
];
