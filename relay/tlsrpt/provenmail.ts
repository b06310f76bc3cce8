/**
 * Reads mail of strangers whose sender must be proven by DKIM: some at a time, each of bounded size and for a bounded time.
 * Only a key that cannot be looked up makes a mail wait.
 */
import { makeFailure } from '#crds/failure.ts';
import { MOST_REPORT_MAIL_BYTES } from '#crds/reportaddresses.ts';
import type { AttemptResult, Parcel, Verdict } from '../delivery/courier.ts';
import { Slots } from '../mtasts/slots.ts';
import { within } from '../task/within.ts';
import { findReporter, type LookUpTxt, type Reporter, type Service } from './signature.ts';

export type { LookUpTxt } from './signature.ts';

/** What is wrong with a mail before it is read. */
export type UnreadMail =
  | { readonly kind: 'discarded'; readonly cause: 'too_large' | 'not_signed'; readonly reason: string }
  | { readonly kind: 'unclear'; readonly reason: string };

export type ProvenSender = Extract<Reporter, { kind: 'known' }>;

export interface ProverDeps {
  readonly lookUpTxt: LookUpTxt;
  readonly service: Service;
}

/** Each holds one mail in memory. */
const MAILS_AT_A_TIME = 4;
/** For the place among these, and for the keys. */
const JUDGE_MS = 60_000;

export class MailProver {
  readonly #deps: ProverDeps;
  readonly #slots = new Slots(MAILS_AT_A_TIME);
  readonly #closing = new AbortController();

  constructor(deps: ProverDeps) {
    this.#deps = deps;
  }

  /** `read` gets the mail and the sender that its signature proves. Rejects if the body cannot be read. */
  async judge<Judged>(
    parcel: Parcel,
    read: (mail: Buffer, sender: ProvenSender) => Judged,
  ): Promise<Judged | UnreadMail> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(JUDGE_MS)]);
    const judged = await this.#slots.run(signal, () => this.#prove(parcel, read, signal));
    return judged ?? { kind: 'unclear', reason: 'other mails come first' };
  }

  /** Mails that are being judged wait in the queue. */
  stop(): void {
    this.#closing.abort();
  }

  async #prove<Judged>(
    parcel: Parcel,
    read: (mail: Buffer, sender: ProvenSender) => Judged,
    signal: AbortSignal,
  ): Promise<Judged | UnreadMail> {
    const mail = await collect(parcel.body());
    if (!mail) return { kind: 'discarded', cause: 'too_large', reason: 'the mail is larger than 2 MiB' };
    const { lookUpTxt, service } = this.#deps;
    const sender = await within(signal, findReporter(mail, lookUpTxt, service));
    if (!sender) return { kind: 'unclear', reason: 'the look-up of its DKIM key takes too long' };
    if (sender.kind === 'unclear') return sender;
    if (sender.kind === 'unknown') return { kind: 'discarded', cause: 'not_signed', reason: sender.reason };
    return read(mail, sender);
  }
}

/** The mail waits for another try. */
export function waits(reason: string): Verdict {
  return { kind: 'failed', failure: makeFailure({ cause: 'dns', status: '4.7.5', text: reason }) };
}

/** The sender wants no DSN, or cannot be trusted with one: it counts as told. */
export function answerFromHere({ to }: Parcel, verdict: Verdict): AttemptResult {
  const verdicts = to.map(() => verdict);
  return { kind: 'answered', hop: 'this relay', verdicts, tls: null, tellsSender: true, passedOver: [] };
}

/** Undefined if it is too large. */
async function collect(body: ReturnType<Parcel['body']>): Promise<Buffer | undefined> {
  if (Buffer.isBuffer(body)) return body.length > MOST_REPORT_MAIL_BYTES ? undefined : body;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MOST_REPORT_MAIL_BYTES) return undefined;
    // A piece is valid until the next one.
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}
