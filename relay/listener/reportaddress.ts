/**
 * The addresses of inbound.tlsReports and inbound.feedbackReports: mail for them is taken from strangers, so its number in
 * a minute and its size have bounds of their own. Real reports have some kilobytes, and a complaint quotes one mail. Such
 * mail has no other recipient, so the bounds hold for all of it. They hold for mail to an alias too: all is decided on what
 * an address has become. Nobody gets a DSN about this mail, because a sender can be invented.
 */
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { MOST_REPORT_MAIL_BYTES, type ReportField } from '#crds/reportaddresses.ts';
import { compileReportFields, matchReportAddress } from '../addresses/reportfields.ts';
import type { Addressee } from '../headers/envelope.ts';
import type { Recipient } from '../spool/record.ts';
import { clientNetwork } from './clientnetwork.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

/** For each of the two addresses, in all sessions of this pod. */
const MOST_PER_MINUTE = 60;
/** Of one network of clients, so that no client keeps out the reports of all others. */
const MOST_OF_NETWORK = 20;

export class ReportAddress {
  readonly matches: (address: string) => boolean;
  readonly #policy: Policy;
  readonly #countMessage: (of: 'recipient', who: string) => Promise<number>;
  readonly #findReports: (address: string) => ReportField | undefined;

  constructor(policy: Policy, countMessage: (of: 'recipient', who: string) => Promise<number>) {
    this.matches = matchReportAddress(policy);
    this.#policy = policy;
    this.#findReports = compileReportFields(policy);
    this.#countMessage = countMessage;
  }

  /** Why a recipient is refused. `before`: that of a recipient that was taken before in its transaction. */
  findRefusal(
    isReport: boolean,
    before: boolean | undefined,
    { mailFrom }: Pick<SMTPServerSession['envelope'], 'mailFrom'>,
  ): Reply | undefined {
    if (before !== undefined && (isReport || before)) return REPLIES.oneRecipient;
    const { args } = mailFrom || {};
    const isTooLarge = Number(args ? args['SIZE'] : 0) > MOST_REPORT_MAIL_BYTES;
    return isReport && isTooLarge ? REPLIES.tooLarge : undefined;
  }

  /** Mail to these ends here. */
  isReport(to: readonly Addressee[]): boolean {
    return this.#find(to) !== undefined;
  }

  /** Counts a mail for one of the addresses. Rejects with a Refusal if it is one too many. Undefined for other mail. */
  admit(stream: SMTPServerDataStream, to: readonly Addressee[], client: string): undefined | Promise<void> {
    const reports = this.#find(to);
    return reports && this.#admit(stream, reports, client);
  }

  async #admit(stream: SMTPServerDataStream, reports: ReportField, client: string): Promise<void> {
    if (!(await this.#isWithinLimits(this.#policy.inbound[reports]?.address ?? '', client))) {
      stream.resume();
      throw new Refusal(REPLIES.tooManyReports);
    }
    // The library tells only those who were listening that the client has gone.
    if (stream.destroyed) throw new Refusal(REPLIES.aborted);
  }

  /** null: the limit of all messages holds. */
  findMostBytes(to: readonly Addressee[]): number | null {
    return this.#find(to) ? MOST_REPORT_MAIL_BYTES : null;
  }

  /** A network that has used up its share counts no more in the sum. */
  async #isWithinLimits(address: string, client: string): Promise<boolean> {
    const count = (who: string) => this.#countMessage('recipient', who);
    const isWithinShare = (await count(`${address} ${clientNetwork(client)}`)) <= MOST_OF_NETWORK;
    return isWithinShare && (await count(address)) <= MOST_PER_MINUTE;
  }

  /** A copy of all mail is the wish of whoever wrote the policy, and no mail from strangers to the address. */
  #find(to: readonly Addressee[]): ReportField | undefined {
    for (const { address, isCopy } of to) {
      const reports = isCopy ? undefined : this.#findReports(address);
      if (reports) return reports;
    }
    return undefined;
  }

  /** Whatever the sender asked for. */
  withoutDsn(recipient: Recipient): Recipient {
    return this.matches(recipient.address) ? { ...recipient, notify: ['NEVER'] } : recipient;
  }
}
