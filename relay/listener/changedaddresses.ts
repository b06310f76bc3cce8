/**
 * The addresses of the transactions of one listener, as the steps change them (headers/steps.ts). Each is changed once,
 * when its MAIL or RCPT is answered, and read after DATA. So a map that changes meanwhile cannot change a message that
 * was judged already.
 */
import type { SMTPServerAddress, SMTPServerSession } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import type { MapRefusal } from '../addresses/rewrite.ts';
import { type CompiledSteps, compileSteps, listBounded, listOnce } from '../headers/compile.ts';
import type { Addressee, Addresses, Moment } from '../headers/envelope.ts';
import type { Maps } from '../headers/maps.ts';
import { joinWishes } from '../headers/wishes.ts';
import { wall } from '../task/clock.ts';
import { REPLIES, type Reply } from './reply.ts';
import type { ReportAddress, Reports } from './reportaddress.ts';

/** Recipients of a message after the expansion of aliases, suppressed ones too, if limits.recipients is not higher. */
const MOST_RECIPIENTS = 1_000;
const NOBODY: readonly Addressee[] = [];

export interface ChangedMessage extends Addresses, Pick<CompiledSteps, 'header'> {
  /** They are suppressed, and the client is not told. */
  readonly discarded: readonly Addressee[];
  /** The addresses of reports that it came for, wherever it goes. */
  readonly reports: Reports;
}

export type ReadMessage =
  | ({ readonly kind: 'changed' } & ChangedMessage)
  | { readonly kind: 'refused'; readonly reply: Reply };

/** What is left of recipients, and what goes nowhere. */
type Sorted = Record<'left' | 'discarded', readonly Addressee[]>;

interface Transaction {
  readonly sender: string;
  /** By the name under which the library knows them: a repeated RCPT takes the place of the one before, and its wishes join. */
  readonly recipients: Map<string, Sorted & { readonly given: Addressee }>;
  /** RCPTs that were taken, repeated ones too. */
  given: number;
  /** Of the recipients that were taken, suppressed ones too. Undefined: there is none yet. */
  reports: Reports | undefined;
  /** What they have become. */
  addresses: number;
}

/** On the address of MAIL, which the library drops when the transaction ends: by RSET too, and by the end of a session. */
const TRANSACTION = Symbol('transaction');
type Begun = SMTPServerAddress & { [TRANSACTION]?: Transaction };

export class ChangedAddresses {
  readonly #policy: Policy;
  readonly #readMaps: () => Maps;
  #compiled: { readonly maps: Maps; readonly choose: ReturnType<typeof compileSteps> } | undefined;
  readonly #reportAddress: Pick<ReportAddress, 'list' | 'findRefusal'>;
  readonly #isSuppressed: ((address: string) => boolean) | undefined;

  /**
   * `readMaps` returns other maps after a table has changed. `isSuppressed` is absent if the policy suppresses no
   * recipient.
   */
  constructor(
    policy: Policy,
    readMaps: () => Maps,
    reportAddress: Pick<ReportAddress, 'list' | 'findRefusal'>,
    isSuppressed?: (address: string) => boolean,
  ) {
    this.#policy = policy;
    this.#readMaps = readMaps;
    this.#reportAddress = reportAddress;
    this.#isSuppressed = isSuppressed;
  }

  /** Changes the sender. Returns the reply if a map refuses it. */
  refusalOfSender(mailFrom: Begun, isSubmitted: boolean): Reply | undefined {
    const changed = this.#choose(isSubmitted).changeSender(mailFrom.address);
    if (changed.kind === 'refused') return replyTo(changed.refusal);
    mailFrom[TRANSACTION] = {
      sender: changed.to,
      recipients: new Map(),
      given: 0,
      reports: undefined,
      addresses: 0,
    };
    return undefined;
  }

  /** Changes a recipient. Returns the reply if a map refuses it. */
  refusalOfRecipient(
    one: SMTPServerAddress,
    session: SMTPServerSession,
    isSubmitted: boolean,
  ): Reply | undefined {
    const { queue, inbound } = this.#policy;
    const transaction = findTransaction(session);
    const { recipients } = inbound.limits;
    if (queue.mode === 'CutThrough' && transaction.given > 0) return REPLIES.oneRecipient;
    // A client may give an address again. That costs as much as another recipient, so it counts as one (as with Postfix).
    if (transaction.given >= recipients) return REPLIES.tooManyRecipients;
    const key = readKey(one);
    const replaced = transaction.recipients.get(key);
    const given = makeAddressee(one, replaced?.given);
    const changed = this.#choose(isSubmitted).changeRecipient(given, readMoment(session));
    if (changed.kind === 'refused') return replyTo(changed.refusal);
    const sorted = this.#sort(changed.to);
    const reports = this.#reportAddress.list(changed.to);
    const ofReports = this.#reportAddress.findRefusal(reports, transaction.reports, session.envelope);
    if (ofReports) return ofReports;
    const left = sorted.left.length;
    if (left === 0 && queue.suppression?.action === 'Refuse') return REPLIES.suppressed;
    if (queue.mode === 'CutThrough' && left > 1) return REPLIES.severalInCutThrough;
    const addresses = transaction.addresses + countAddresses(sorted) - countAddresses(replaced);
    if (transaction.given > 0 && addresses > Math.max(recipients, MOST_RECIPIENTS))
      return REPLIES.tooManyRecipients;
    transaction.given += 1;
    transaction.reports = reports;
    transaction.addresses = addresses;
    transaction.recipients.set(key, { ...sorted, given });
    return undefined;
  }

  /** Where one box gets all mail, it is the only recipient that can be suppressed. */
  #sort(to: readonly Addressee[]): Sorted {
    const isSuppressed = this.#isSuppressed;
    if (!isSuppressed) return { left: to, discarded: NOBODY };
    const box = this.#policy.addresses.sendAllTo;
    const isOut = box === null ? ({ address }: Addressee) => isSuppressed(address) : () => isSuppressed(box);
    const { left = NOBODY, discarded = NOBODY } = Object.groupBy(to, (one) =>
      isOut(one) ? 'discarded' : 'left',
    );
    return { left, discarded };
  }

  #choose(isSubmitted: boolean): CompiledSteps {
    const maps = this.#readMaps();
    if (this.#compiled?.maps !== maps) this.#compiled = { maps, choose: compileSteps(this.#policy, maps) };
    return this.#compiled.choose(isSubmitted);
  }

  /** The envelope after all steps, and the steps of the header. A copy to a suppressed address is left out. */
  readMessage(session: SMTPServerSession, isSubmitted: boolean): ReadMessage {
    const { changeAll, header } = this.#choose(isSubmitted);
    const { sender, recipients, reports = [] } = findTransaction(session);
    const sorted = session.envelope.rcptTo.flatMap((one) => recipients.get(readKey(one)) ?? []);
    const to = sorted.flatMap(({ left }) => left);
    const changed = changeAll({ from: sender, to }, readMoment(session));
    if (changed.kind === 'refused') return { kind: 'refused', reply: replyTo(changed.refusal) };
    if (!this.#isSuppressed) return { kind: 'changed', ...changed.to, discarded: NOBODY, reports, header };
    const copies = this.#sort(changed.to.to.filter(({ isCopy }) => isCopy)).discarded;
    const discarded = [...sorted.flatMap((one) => one.discarded), ...copies];
    return {
      kind: 'changed',
      ...changed.to,
      to: changed.to.to.filter((one) => !copies.includes(one)),
      discarded: listBounded(listOnce(discarded)),
      reports,
      header,
    };
  }
}

function findTransaction({ envelope }: SMTPServerSession): Transaction {
  const transaction = envelope.mailFrom ? (envelope.mailFrom as Begun)[TRANSACTION] : undefined;
  // The library asks for recipients and for the message after an accepted MAIL alone. Without one, nobody would get it.
  if (!transaction) throw new Error('a recipient or a message without an accepted MAIL');
  return transaction;
}

/** As smtp-server compares recipients. */
function readKey({ address }: SMTPServerAddress): string {
  return address.toLowerCase();
}

function countAddresses(sorted: Sorted | undefined): number {
  return sorted ? sorted.left.length + sorted.discarded.length : 0;
}

function readMoment({ envelope }: SMTPServerSession): Moment {
  return { sender: envelope.mailFrom === false ? '' : envelope.mailFrom.address, at: wall() };
}

function makeAddressee({ address, dsn }: SMTPServerAddress, before: Addressee | undefined): Addressee {
  const { notify, orcpt } = dsn ?? {};
  const wishes = {
    ...(notify && notify.length > 0 ? { notify } : {}),
    ...(orcpt ? { orcpt } : {}),
  };
  return { address, ...(before ? joinWishes([wishes, before]) : wishes) };
}

export function replyTo(refusal: MapRefusal): Reply {
  if (refusal.cause === 'loop') return REPLIES.aliasLoop;
  if (refusal.cause === 'nothing') return REPLIES.aliasOfNothing;
  if (refusal.cause === 'unreadable') return REPLIES.mapUnreadable;
  if (refusal.cause === 'foreign return') return REPLIES.foreignReturn;
  // A reply code in front says what the status says.
  const text = refusal.text.replace(/^[45]\d\d (?=[45]\.\d{1,3}\.\d{1,3} )/, '');
  const hasStatus = /^[45]\.\d{1,3}\.\d{1,3} /.test(text);
  return {
    code: text.startsWith('4.') && hasStatus ? 450 : 550,
    text: hasStatus ? text : `5.7.1 ${text}`,
    reason: 'address_refused',
  };
}
