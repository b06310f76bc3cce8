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
import { wall } from '../task/clock.ts';
import { REPLIES, type Reply } from './reply.ts';

/** Recipients of a message after the expansion of aliases, suppressed ones too, if limits.recipients is not higher. */
const MOST_RECIPIENTS = 1_000;
const NOBODY: readonly Addressee[] = [];

export interface ChangedMessage extends Addresses, Pick<CompiledSteps, 'header'> {
  /** They are suppressed, and the client is not told. */
  readonly discarded: readonly Addressee[];
}

export type ReadMessage =
  | ({ readonly kind: 'changed' } & ChangedMessage)
  | { readonly kind: 'refused'; readonly reply: Reply };

/** What is left of recipients, and what goes nowhere. */
type Sorted = Record<'left' | 'discarded', readonly Addressee[]>;

interface Transaction {
  sender: string;
  recipients: Map<SMTPServerAddress, Sorted>;
  /** What aliases added to the recipients so far. */
  added: number;
}

export class ChangedAddresses {
  readonly #policy: Policy;
  readonly #readMaps: () => Maps;
  #compiled: { readonly maps: Maps; readonly choose: ReturnType<typeof compileSteps> } | undefined;
  readonly #transactions = new WeakMap<SMTPServerSession, Transaction>();

  readonly #isSuppressed: ((address: string) => boolean) | undefined;

  /**
   * `readMaps` returns other maps after a table has changed. `isSuppressed` is absent if the policy suppresses no
   * recipient.
   */
  constructor(policy: Policy, readMaps: () => Maps, isSuppressed?: (address: string) => boolean) {
    this.#policy = policy;
    this.#readMaps = readMaps;
    this.#isSuppressed = isSuppressed;
  }

  /** Changes the sender. Returns the reply if a map refuses it. */
  refusalOfSender(
    { address }: SMTPServerAddress,
    session: SMTPServerSession,
    isSubmitted: boolean,
  ): Reply | undefined {
    const changed = this.#choose(isSubmitted).changeSender(address);
    if (changed.kind === 'refused') return replyTo(changed.refusal);
    const transaction = this.#findTransaction(session);
    transaction.sender = changed.to;
    transaction.recipients = new Map();
    transaction.added = 0;
    return undefined;
  }

  /** Changes a recipient. Returns the reply if a map refuses it. */
  refusalOfRecipient(
    one: SMTPServerAddress,
    session: SMTPServerSession,
    isSubmitted: boolean,
  ): Reply | undefined {
    const { queue, inbound } = this.#policy;
    const changed = this.#choose(isSubmitted).changeRecipient(makeAddressee(one), readMoment(session));
    if (changed.kind === 'refused') return replyTo(changed.refusal);
    const sorted = this.#sort(changed.to);
    const left = sorted.left.length;
    if (left === 0 && queue.suppression?.action === 'Refuse') return REPLIES.suppressed;
    if (queue.mode === 'CutThrough' && left > 1) return REPLIES.severalInCutThrough;
    // A client may give an address again: it is one recipient all the same.
    const before = session.envelope.rcptTo.length;
    const transaction = this.#findTransaction(session);
    const added = transaction.added + changed.to.length - 1;
    if (before > 0 && before + 1 + added > Math.max(inbound.limits.recipients, MOST_RECIPIENTS))
      return REPLIES.tooManyRecipients;
    transaction.added = added;
    transaction.recipients.set(one, sorted);
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
    const { sender, recipients } = this.#findTransaction(session);
    const { rcptTo } = session.envelope;
    const to = rcptTo.flatMap((one) => recipients.get(one)?.left ?? []);
    const changed = changeAll({ from: sender, to }, readMoment(session));
    if (changed.kind === 'refused') return { kind: 'refused', reply: replyTo(changed.refusal) };
    if (!this.#isSuppressed) return { kind: 'changed', ...changed.to, discarded: NOBODY, header };
    const copies = this.#sort(changed.to.to.filter(({ isCopy }) => isCopy)).discarded;
    const discarded = [...rcptTo.flatMap((one) => recipients.get(one)?.discarded ?? []), ...copies];
    return {
      kind: 'changed',
      ...changed.to,
      to: changed.to.to.filter((one) => !copies.includes(one)),
      discarded: listBounded(listOnce(discarded)),
      header,
    };
  }

  /** One for each session, used again: V8 pays for each entry of a weak map in each collection. */
  #findTransaction(session: SMTPServerSession): Transaction {
    const known = this.#transactions.get(session);
    if (known) return known;
    const transaction: Transaction = { sender: '', recipients: new Map(), added: 0 };
    this.#transactions.set(session, transaction);
    return transaction;
  }
}

function readMoment({ envelope }: SMTPServerSession): Moment {
  return { sender: envelope.mailFrom === false ? '' : envelope.mailFrom.address, at: wall() };
}

function makeAddressee({ address, dsn }: SMTPServerAddress): Addressee {
  const { notify, orcpt } = dsn ?? {};
  return {
    address,
    ...(notify && notify.length > 0 ? { notify } : {}),
    ...(orcpt ? { orcpt } : {}),
  };
}

function replyTo(refusal: MapRefusal): Reply {
  if (refusal.cause === 'loop') return REPLIES.aliasLoop;
  if (refusal.cause === 'nothing') return REPLIES.aliasOfNothing;
  if (refusal.cause === 'unreadable') return REPLIES.mapUnreadable;
  if (refusal.cause === 'foreign return') return REPLIES.foreignReturn;
  const { text } = refusal;
  const hasStatus = /^[45]\.\d{1,3}\.\d{1,3} /.test(text);
  return {
    code: text.startsWith('4.') && hasStatus ? 450 : 550,
    text: hasStatus ? text : `5.7.1 ${text}`,
    reason: 'address_refused',
  };
}
