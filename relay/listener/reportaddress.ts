/**
 * The addresses of inbound.tlsReports and inbound.feedbackReports: mail for them is taken from strangers, so its number in
 * a minute and its size have bounds of their own. Real reports have some kilobytes, and a complaint quotes one mail. Such
 * mail has no other recipient, so the bounds hold for all of it. Which mail it is is decided once, at RCPT, by what the
 * recipient has become: so the bounds hold for mail to an alias too, and wherever later steps send it (a copy of other mail is
 * none of it). Nobody gets a DSN about this mail, because a sender can be invented.
 */
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { MOST_REPORT_MAIL_BYTES, REPORT_FIELDS, type ReportField } from '#crds/reportaddresses.ts';
import { compileReportFields, matchReportAddress } from '../addresses/reportfields.ts';
import type { Addressee } from '../headers/envelope.ts';
import type { Recipient } from '../spool/record.ts';
import { clientNetwork } from './clientnetwork.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

/** For each of the two addresses, in all sessions of this pod. */
const MOST_PER_MINUTE = 60;
/** Of one network of clients, so that no client keeps out the reports of all others. */
const MOST_OF_NETWORK = 20;

/** The addresses that a mail is for. None: it is other mail. */
export type Reports = readonly ReportField[];

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
    reports: Reports,
    before: Reports | undefined,
    { mailFrom }: Pick<SMTPServerSession['envelope'], 'mailFrom'>,
  ): Reply | undefined {
    const isReport = reports.length > 0;
    if (before && (isReport || before.length > 0)) return REPLIES.oneRecipient;
    const { args } = mailFrom || {};
    const isTooLarge = Number(args ? args['SIZE'] : 0) > MOST_REPORT_MAIL_BYTES;
    return isReport && isTooLarge ? REPLIES.tooLarge : undefined;
  }

  /** The addresses among these. None: it is other mail. */
  list(to: readonly Addressee[]): Reports {
    const found = new Set(to.map(({ address }) => this.#findReports(address)));
    return REPORT_FIELDS.filter((field) => found.has(field));
  }

  /** Counts a mail for each of the addresses. Rejects with a Refusal if it is one too many. Undefined for other mail. */
  admit(stream: SMTPServerDataStream, reports: Reports, client: string): undefined | Promise<void> {
    return reports.length === 0 ? undefined : this.#admit(stream, reports, client);
  }

  async #admit(stream: SMTPServerDataStream, reports: Reports, client: string): Promise<void> {
    for (const field of reports) {
      if (await this.#isWithinLimits(this.#policy.inbound[field]?.address ?? '', client)) continue;
      stream.resume();
      throw new Refusal(REPLIES.tooManyReports);
    }
    // The library tells only those who were listening that the client has gone.
    if (stream.destroyed) throw new Refusal(REPLIES.aborted);
  }

  /** null: the limit of all messages holds. */
  findMostBytes(reports: Reports): number | null {
    return reports.length === 0 ? null : MOST_REPORT_MAIL_BYTES;
  }

  /** A network that has used up its share counts no more in the sum. */
  async #isWithinLimits(address: string, client: string): Promise<boolean> {
    const count = (who: string) => this.#countMessage('recipient', who);
    const isWithinShare = (await count(`${address} ${clientNetwork(client)}`)) <= MOST_OF_NETWORK;
    return isWithinShare && (await count(address)) <= MOST_PER_MINUTE;
  }

  /** Whatever the sender asked for. Other mail may end here too, if one box for all is such an address. */
  withoutDsn(recipient: Recipient, reports: Reports): Recipient {
    const isSilent = reports.length > 0 || this.matches(recipient.address);
    return isSilent ? { ...recipient, notify: ['NEVER'] } : recipient;
  }
}
