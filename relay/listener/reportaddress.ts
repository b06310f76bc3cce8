/**
 * The addresses of inbound.tlsReports and inbound.feedbackReports: mail for them is taken from strangers, so its number in
 * a minute and its size have bounds of their own. Real reports have some kilobytes, and a complaint quotes one mail. Such
 * mail has no other recipient, so the bounds hold for all of it. Nobody gets a DSN about this mail, because a sender can be
 * invented.
 */
import type { SMTPServerAddress, SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { MOST_REPORT_MAIL_BYTES, type ReportField } from '#crds/reportaddresses.ts';
import { withPostmasterDomain } from '../addresses/address.ts';
import { compileReportFields, matchReportAddress } from '../addresses/reportfields.ts';
import type { Recipient } from '../spool/record.ts';
import { clientNetwork } from './clientnetwork.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

/** For each of the two addresses, in all sessions of this pod. */
const MOST_PER_MINUTE = 60;
/** Of one network of clients, so that no client keeps out the reports of all others. */
const MOST_OF_NETWORK = 20;

type Session = Pick<SMTPServerSession, 'envelope' | 'remoteAddress'>;

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

  /** Why this address is refused in this transaction. */
  findRefusal(to: string, { mailFrom, rcptTo }: SMTPServerSession['envelope']): Reply | undefined {
    const isReport = this.#find(to) !== undefined;
    if (rcptTo.length > 0 && (isReport || this.#findOnly(rcptTo))) return REPLIES.oneRecipient;
    const { args } = mailFrom || {};
    const isTooLarge = Number(args ? args['SIZE'] : 0) > MOST_REPORT_MAIL_BYTES;
    return isReport && isTooLarge ? REPLIES.tooLarge : undefined;
  }

  /** Counts a mail for one of the addresses. Rejects with a Refusal if it is one too many. Undefined for other mail. */
  admit(stream: SMTPServerDataStream, session: Session): undefined | Promise<void> {
    const reports = this.#findOnly(session.envelope.rcptTo);
    return reports && this.#admit(stream, reports, session.remoteAddress);
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
  findMostBytes(to: readonly SMTPServerAddress[]): number | null {
    return this.#findOnly(to) ? MOST_REPORT_MAIL_BYTES : null;
  }

  /** A network that has used up its share counts no more in the sum. */
  async #isWithinLimits(address: string, client: string): Promise<boolean> {
    const count = (who: string) => this.#countMessage('recipient', who);
    const isWithinShare = (await count(`${address} ${clientNetwork(client)}`)) <= MOST_OF_NETWORK;
    return isWithinShare && (await count(address)) <= MOST_PER_MINUTE;
  }

  /** Such an address is the only recipient of its mail. */
  #findOnly([first]: readonly SMTPServerAddress[]): ReportField | undefined {
    return first && this.#find(first.address);
  }

  #find(address: string): ReportField | undefined {
    return this.#findReports(withPostmasterDomain(address, this.#policy.inbound.acceptDomains));
  }

  /** Whatever the sender asked for. */
  withoutDsn(recipient: Recipient): Recipient {
    return this.matches(recipient.address) ? { ...recipient, notify: ['NEVER'] } : recipient;
  }
}
