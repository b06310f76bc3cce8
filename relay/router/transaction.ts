/**
 * Sends one message over a session, and says what became of each recipient. `unsent` means that the next hop cannot
 * have the message: the session ended before the body was offered, so another attempt is no duplicate. Whatever else
 * goes wrong is an answer for the recipients.
 */
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import { classifyReply, type Verdict } from './classify.ts';
import { oneLine, type SmtpError } from './connect.ts';
import type { DsnRequest, Parcel } from './courier.ts';

export type Sent =
  | { kind: 'unsent'; reason: string }
  | {
      kind: 'answered';
      verdicts: Verdict[];
      /** The session may carry another message. */
      reusable: boolean;
      /** The last reply was read in full, so that QUIT makes sense. */
      inOrder: boolean;
      tellsSender: boolean;
    };

interface Rejection extends SmtpError {
  readonly recipient?: string | undefined;
}

interface SendError extends SmtpError {
  readonly rejectedErrors?: readonly Rejection[] | undefined;
}

interface SendInfo {
  readonly response?: string | undefined;
  readonly rejectedErrors?: readonly Rejection[] | undefined;
}

export function sendOver(connection: SMTPConnection, parcel: Parcel): Promise<Sent> {
  if (needsSmtpUtf8(parcel) && !hasExtension(connection, 'SMTPUTF8')) {
    const reason = '5.6.7 The next hop does not take international addresses (SMTPUTF8)';
    return Promise.resolve(answered(parcel, () => ({ kind: 'refused', reason }), true));
  }
  return new Promise((resolve) => {
    const body = parcel.open();
    // The body flows only after the next hop said 354: before that, nothing can have been delivered.
    let offered = false;
    body.once('resume', () => {
      offered = true;
    });
    const { from, bytes: size, eightBit: use8BitMime } = parcel;
    const tellsSender = hasExtension(connection, 'DSN');
    const dsn = tellsSender ? { dsn: dsnOf(parcel.dsn) } : {};
    connection.send({ from, to: [...parcel.to], size, use8BitMime, ...dsn }, body, (error, info) => {
      const sent = error ? failed(error, parcel, offered) : taken((info ?? {}) as SendInfo, parcel);
      resolve(sent.kind === 'unsent' ? sent : { ...sent, tellsSender });
    });
  });
}

function taken({ response = '', rejectedErrors }: SendInfo, parcel: Parcel): Sent {
  const rejected = rejectionsOf(rejectedErrors);
  return answered(parcel, (address) => rejected.get(address) ?? classifyReply(250, response), true);
}

function failed(error: SendError, parcel: Parcel, offered: boolean): Sent {
  const { responseCode, code } = error;
  const isClosing = responseCode === undefined || responseCode === 421;
  if (code === 'EMESSAGE' && responseCode === undefined && !offered) {
    // Larger than the next hop announced: it was not even asked.
    const reason = `5.3.4 ${oneLine(error.message)}`;
    return answered(parcel, () => ({ kind: 'refused', reason }), true);
  }
  if (isClosing && !offered) return { kind: 'unsent', reason: oneLine(error.message) };
  const rejected = rejectionsOf(error.rejectedErrors);
  const whole = verdictOf(error);
  const result = answered(parcel, (address) => rejected.get(address) ?? whole, false);
  // The envelope of a refused message is still open at the next hop: the session is not used again.
  return { ...result, inOrder: !isClosing };
}

function answered(
  parcel: Parcel,
  verdict: (address: string) => Verdict,
  reusable: boolean,
): Sent & { kind: 'answered' } {
  return { kind: 'answered', verdicts: parcel.to.map(verdict), reusable, inOrder: true, tellsSender: false };
}

/** In the words of the library; what the sender did not say is not said on. */
function dsnOf({ ret, envid, notify, orcpt }: DsnRequest) {
  return {
    ...(ret === null ? {} : { ret }),
    ...(envid === null ? {} : { envid }),
    ...(notify === null ? {} : { notify: [...notify] }),
    ...(orcpt === null ? {} : { orcpt }),
  };
}

function rejectionsOf(errors: readonly Rejection[] = []): Map<string, Verdict> {
  return new Map(errors.map((error) => [error.recipient ?? '', verdictOf(error)]));
}

function verdictOf({ responseCode, response, message }: SmtpError): Verdict {
  return classifyReply(responseCode, oneLine(response ?? message));
}

function needsSmtpUtf8({ from, to }: Parcel): boolean {
  return [from, ...to].some((address) => /[^\x20-\x7e]/.test(address));
}

function hasExtension(connection: SMTPConnection, name: string): boolean {
  // What EHLO told is not part of the public surface; transaction.test.ts pins it.
  const { _supportedExtensions: extensions } = connection as unknown as { _supportedExtensions: string[] };
  return extensions.includes(name);
}
