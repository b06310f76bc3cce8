/**
 * Sends one message over a session and returns a verdict for each recipient. `unsent` means that the session ended before the
 * body was offered and no recipient was refused for good, so another attempt makes no duplicate. Every other error becomes a
 * verdict of the recipients.
 */

import { type Failure, isTooMany, MESSAGE_FOR_ONE, makeFailure } from '#crds/failure.ts';
import { type AttemptBudget, OVERDUE } from './budget.ts';
import { abortFailure, type SmtpError } from './connectfailure.ts';
import type { NextHop, Parcel } from './courier.ts';
import type { HopConnection } from './hopconnection.ts';
import { judgeContent, makeParameters } from './parameters.ts';
import { readCodes } from './reply.ts';
import { saysToSlowDown } from './slowdown.ts';
import { failureFromReply, judgeReply, type Verdict } from './verdict.ts';

/** The least time from 354 to the final dot. The size of the message adds to it. RFC 5321 section 4.5.3.2.5. */
const BODY_MS = 3 * 60_000;
/** A hop that takes less than 10 kB a second is cut off. */
const BYTES_PER_MS = 10;
/** In mode CutThrough the client sets the speed, and the listener has its own time limit. */
const STREAMED_MS = 60 * 60_000;

export type Sent =
  /** Its connection is closed. `refused`: recipients with a refusal of their own, none of them for good. */
  { kind: 'unsent'; failure: Failure; refused: string[]; atOnce: number | undefined } | Answered;

interface Answered {
  kind: 'answered';
  verdicts: Verdict[];
  /** True if the session may carry another message. */
  reusable: boolean;
  /** True if the last reply was read completely, so QUIT makes sense. */
  inOrder: boolean;
  tellsSender: boolean;
  mayTryAnother: boolean;
  atOnce?: number | undefined;
}

interface Rejection extends SmtpError {
  readonly recipient?: string | undefined;
}

interface SendError extends SmtpError {
  readonly rejectedErrors?: readonly Rejection[] | undefined;
}

interface SendInfo {
  readonly rejectedErrors?: readonly Rejection[] | undefined;
}

interface Told {
  readonly error: SendError | null;
  readonly info?: SendInfo | undefined;
}

/** If this rejects, the body cannot be read, and the connection is closed. */
export async function sendOver(
  connection: HopConnection,
  hop: NextHop,
  parcel: Parcel,
  budget: AttemptBudget,
): Promise<Sent> {
  const offers = connection.offers.bind(connection);
  // The body is sent only after the 354. Before that, the hop cannot have taken the message.
  connection.offered = false;
  try {
    const refusal = await judgeContent(parcel, offers, connection.hidesOffers);
    if (refusal) {
      const { permanent } = refusal;
      const result = answered(parcel, () => ({ kind: 'failed', failure: refusal }), permanent);
      return { ...result, mayTryAnother: !permanent };
    }
    connection.say(makeParameters(parcel, offers));
    const sent = await send(connection, hop, parcel, budget);
    // A hop may allow one connection at a time, so no other one begins before this one is closed.
    if (sent.kind === 'unsent') await connection.leave();
    return sent;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function send(
  connection: HopConnection,
  hop: NextHop,
  parcel: Parcel,
  budget: AttemptBudget,
): Promise<Sent> {
  const { from, bytes: size, eightBit: use8BitMime } = parcel;
  const tellsSender = connection.offers('DSN');
  const { ret } = parcel.dsn;
  const dsn = tellsSender && ret !== null ? { dsn: { ret } } : {};
  const requireTls = { requireTLSExtensionEnabled: parcel.requireTls };
  const envelope = { from, to: [...parcel.to], size, use8BitMime, ...requireTls, ...dsn };
  const bodyMs = size === 0 ? STREAMED_MS : BODY_MS + size / BYTES_PER_MS;
  const body = parcel.body();
  const forget = budget.whenOver(() => connection.cut(OVERDUE));
  connection.onOffered = forget;
  const told = Promise.withResolvers<Told>();
  connection.deliver(envelope, body, bodyMs, (error, info) => told.resolve({ error, info }));
  const { error, info = {} } = await told.promise;
  forget();
  // A socket in TLS tells at the end of the turn what has left it, and the answer may come before. An end of the message
  // that is not written yet must not be written in this turn either.
  if (connection.isSending && !connection.isWriting) await new Promise(setImmediate);
  const sent = error ? failed(error, hop, parcel, connection) : taken(info, parcel, connection);
  if (sent.kind === 'answered') await findShift(sent, connection);
  const sure = connection.shift ? failed(connection.shift, hop, parcel, connection) : sent;
  return sure.kind === 'unsent' ? sure : { ...sure, tellsSender };
}

/**
 * What shows that replies do not mean what they seem to: a message was taken whose end has not left, or QUIT gets the reply
 * to a command before it. After a 354 in its place the envelope needs no such proof, and the only recipient is nobody else.
 */
async function findShift({ verdicts, reusable }: Answered, connection: HopConnection): Promise<void> {
  if (connection.isSending) {
    if (verdicts.some(({ kind }) => kind === 'delivered')) connection.endEarly();
  } else if (!connection.offered && !reusable && verdicts.length > 1 && verdicts.some(isFinal)) {
    await connection.quitInOrder();
    // The reply may still have come.
    if (connection.wasCut === 'relay')
      connection.shift ??= new Error('the relay did not wait for the reply to QUIT');
  }
}

function isFinal(verdict: Verdict | undefined): boolean {
  return verdict?.kind === 'failed' && verdict.failure.permanent;
}

function isRequest(verdict: Verdict): boolean {
  return verdict.kind === 'failed' && verdict.failure.slowDown === true && !isGoodbye(verdict);
}

function isGoodbye(verdict: Verdict | undefined): boolean {
  return verdict?.kind === 'failed' && verdict.failure.reply?.code === 421;
}

function taken({ rejectedErrors }: SendInfo, parcel: Parcel, connection: HopConnection): Sent {
  const own = collectOwn(rejectedErrors, connection);
  const { code, text = '' } = connection.finalReply ?? {};
  const result = answered(parcel, (address) => own.get(address) ?? judgeReply(code, text), true);
  // LMTP: all recipients were refused while the message was on its way, so its end is missing.
  return connection.isSending ? { ...result, reusable: false, inOrder: false } : result;
}

function failed(error: SendError, { host, port }: NextHop, parcel: Parcel, connection: HopConnection): Sent {
  const { offered, isSending, wasCut, shift } = connection;
  const { responseCode, code, command } = error;
  const isClosing = responseCode === undefined || responseCode === 421;
  if (code === 'EMESSAGE' && responseCode === undefined && !offered) {
    // The message exceeds the SIZE of the next hop, so the hop was not asked.
    const failure = makeFailure({ cause: 'policy', status: '5.3.4', text: error.message });
    return answered(parcel, () => ({ kind: 'failed', failure }), true);
  }
  if (code === 'EENVELOPE' && command === 'API') {
    // The library cannot send this address. That is no fault of the next hop, and it will not change.
    const failure = makeFailure({ cause: 'policy', status: '5.1.3', text: error.message });
    return answered(parcel, () => ({ kind: 'failed', failure }), true);
  }
  // Whom a reply refused may have been somebody else.
  const own = shift ? new Map<string, Verdict>() : collectOwn(error.rejectedErrors, connection);
  if (isClosing && !offered) {
    const explain = wasCut === 'relay' ? abortFailure : sessionFailure;
    const asks = saysToSlowDown(error.response ?? '') || [...own.values()].some(isRequest);
    return endedEarly(explain(error, `${host}:${port}`), parcel, own, asks);
  }
  const whole = judgeError(error);
  const result = answered(parcel, (address) => own.get(address) ?? whole, false);
  // The envelope of a refused message is still open at the next hop, so the session is not used again.
  const mayTryAnother =
    !offered && result.verdicts.every((verdict) => verdict.kind === 'failed' && !verdict.failure.permanent);
  return { ...result, inOrder: !isClosing && !isSending, mayTryAnother };
}

/**
 * A recipient that was refused for good stays refused, whatever comes later: the next attempt has fewer recipients. The
 * hop may have counted its refusals. A 421 behind them then asks for fewer messages only if the words of a reply do.
 */
function endedEarly(
  failure: Failure,
  parcel: Parcel,
  own: ReadonlyMap<string, Verdict>,
  asks: boolean,
): Sent {
  const refused = parcel.to.filter((address) => own.has(address) && !isGoodbye(own.get(address)));
  const { slowDown: _, ...calm } = failure;
  const waits: Failure = refused.length === 0 ? failure : { ...calm, ...(asks ? { slowDown: true } : {}) };
  const atOnce = findLimit(parcel, own);
  if (!refused.some((address) => isFinal(own.get(address))))
    return { kind: 'unsent', failure: waits, refused, atOnce };
  const judge = (address: string): Verdict => {
    const verdict = own.get(address);
    return verdict && !isGoodbye(verdict) ? verdict : { kind: 'failed', failure: waits };
  };
  return { ...answered(parcel, judge, false), inOrder: false, atOnce };
}

function findLimit({ to }: Parcel, own: ReadonlyMap<string, Verdict>): number | undefined {
  const first = to.findIndex((address) => {
    const verdict = own.get(address);
    return verdict?.kind === 'failed' && isTooMany(verdict.failure, true);
  });
  const atOnce = to.slice(0, Math.max(first, 0)).filter((address) => !own.has(address)).length;
  return atOnce > 0 ? atOnce : undefined;
}

function answered(parcel: Parcel, verdict: (address: string) => Verdict, reusable: boolean): Answered {
  const verdicts = parcel.to.map(verdict);
  return { kind: 'answered', verdicts, reusable, inOrder: true, tellsSender: false, mayTryAnother: false };
}

/** The verdicts by recipient: of those that RCPT refused, and with LMTP of those that were answered one by one. */
function collectOwn(
  errors: readonly Rejection[] = [],
  { finalReplies }: HopConnection,
): ReadonlyMap<string, Verdict> {
  return new Map([
    ...errors.map((error) => [error.recipient ?? '', judgeError(error)] as const),
    ...[...finalReplies].map(
      ([address, { code, text }]) => [address, judgeReply(code, text, MESSAGE_FOR_ONE)] as const,
    ),
  ]);
}

function judgeError({ responseCode, response, message, command }: SmtpError): Verdict {
  return judgeReply(responseCode, response ?? message, command);
}

/**
 * The session ended before the message was offered, with a 421 or without a reply. The failure becomes that of the
 * destination, so senders of other messages hear of it, and what the hop has said may name an address of this one: also a
 * part of a reply, or one that nobody asked for.
 */
function sessionFailure({ responseCode, response, message, command }: SmtpError, where: string): Failure {
  const { cause, text, reply, slowDown } = failureFromReply(responseCode, response ?? message, command);
  return makeFailure({
    cause,
    status: '4.4.2',
    text: `${where}: ${text}`,
    forSender: `${where}: the session ended ${reply ? `with ${readCodes(reply.line)}` : 'before the message'}`,
    ...(slowDown ? { slowDown } : {}),
  });
}
