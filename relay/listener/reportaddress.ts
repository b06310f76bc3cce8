/**
 * The addresses of inbound.tlsReports and inbound.feedbackReports: mail for them is taken from strangers, so its number in
 * a minute and its size have bounds of their own. Real reports have some kilobytes, and a complaint quotes one mail. Nobody
 * gets a DSN about this mail, because a sender can be invented.
 */
import type { SMTPServerAddress } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { MOST_REPORT_MAIL_BYTES, type ReportField } from '#crds/reportaddresses.ts';
import { compileReportFields, matchReportAddress } from '../addresses/reportfields.ts';
import type { Recipient } from '../spool/record.ts';
import { REPLIES, type Reply } from './reply.ts';

/** For each of the two addresses, in all sessions of this pod. */
const MOST_PER_MINUTE = 60;

export class ReportAddress {
  readonly matches: (address: string) => boolean;
  readonly #countReport: (reports: ReportField) => Promise<number>;
  readonly #findReports: (address: string) => ReportField | undefined;

  constructor(policy: Policy, countMessage: (of: 'recipient', who: string) => Promise<number>) {
    this.matches = matchReportAddress(policy);
    this.#findReports = compileReportFields(policy);
    this.#countReport = (reports) => countMessage('recipient', policy.inbound[reports]?.address ?? '');
  }

  /** Why this address is refused in this transaction. Undefined for every other address. */
  findRefusal(to: string, from: SMTPServerAddress | false): undefined | Promise<Reply | undefined> {
    const reports = this.#findReports(to);
    return reports && this.#judgeReport(reports, from);
  }

  /** null: the limit of all messages holds, because the message has other recipients too. */
  findMostBytes(to: readonly SMTPServerAddress[]): number | null {
    return to.every(({ address }) => this.matches(address)) ? MOST_REPORT_MAIL_BYTES : null;
  }

  async #judgeReport(reports: ReportField, from: SMTPServerAddress | false): Promise<Reply | undefined> {
    const { args } = from || {};
    if (Number(args ? args['SIZE'] : 0) > MOST_REPORT_MAIL_BYTES) return REPLIES.tooLarge;
    return (await this.#countReport(reports)) > MOST_PER_MINUTE ? REPLIES.tooManyReports : undefined;
  }

  /** Whatever the sender asked for. */
  withoutDsn(recipient: Recipient): Recipient {
    return this.matches(recipient.address) ? { ...recipient, notify: ['NEVER'] } : recipient;
  }
}
