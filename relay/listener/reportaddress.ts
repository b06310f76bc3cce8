/**
 * The address of inbound.tlsReports: mail for it is taken from strangers, so its number in a minute and its size have
 * bounds of their own. Real reports have some kilobytes, and a report host sends one a day. Nobody gets a DSN about this
 * mail, because a sender can be invented.
 */
import type { SMTPServerAddress } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { MOST_REPORT_MAIL_BYTES, matchReportAddress } from '#crds/tlsreports.ts';
import type { Recipient } from '../spool/record.ts';
import { REPLIES, type Reply } from './reply.ts';

/** In all sessions of this pod. */
const MOST_PER_MINUTE = 60;

export class ReportAddress {
  readonly matches: (address: string) => boolean;
  readonly #countMessage: () => Promise<number>;

  constructor(policy: Policy, countMessage: (of: 'recipient', who: string) => Promise<number>) {
    this.matches = matchReportAddress(policy);
    this.#countMessage = () => countMessage('recipient', policy.inbound.tlsReports?.address ?? '');
  }

  /** Why this address is refused in this transaction. Undefined for every other address. */
  findRefusal(to: string, from: SMTPServerAddress | false): undefined | Promise<Reply | undefined> {
    return this.matches(to) ? this.#judgeReport(from) : undefined;
  }

  /** null: the limit of all messages holds, because the message has other recipients too. */
  findMostBytes(to: readonly SMTPServerAddress[]): number | null {
    return to.every(({ address }) => this.matches(address)) ? MOST_REPORT_MAIL_BYTES : null;
  }

  async #judgeReport(from: SMTPServerAddress | false): Promise<Reply | undefined> {
    const { args } = from || {};
    if (Number(args ? args['SIZE'] : 0) > MOST_REPORT_MAIL_BYTES) return REPLIES.tooLarge;
    return (await this.#countMessage()) > MOST_PER_MINUTE ? REPLIES.tooManyReports : undefined;
  }

  /** Whatever the sender asked for. */
  withoutDsn(recipient: Recipient): Recipient {
    return this.matches(recipient.address) ? { ...recipient, notify: ['NEVER'] } : recipient;
  }
}
