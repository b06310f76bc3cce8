/**
 * The answer about one message, exactly once, after all replies that came with it have been read. The library drops the
 * callback of a message when it closes the connection for certain reasons, and then only emits `end`. Without an answer a
 * delivery would wait for ever and keep its slot. The library also drops what the hop had refused before the connection ended.
 */
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';

export type Envelope = Parameters<SMTPConnection['send']>[0];
type LibraryDone = Parameters<SMTPConnection['send']>[2];
type SendError = NonNullable<Parameters<LibraryDone>[0]>;
export type Done = (error: SendError | null, info?: Parameters<LibraryDone>[1]) => void;

/** What the library notes in the envelope while the hop answers it. */
interface Noted {
  readonly mailError?: SendError;
  readonly rejectedErrors?: SendError['rejectedErrors'];
}

type Connection = SMTPConnection & { readonly shift: Error | undefined };

export function answerOnce(connection: Connection, envelope: Envelope, done: Done): Done {
  let isAnswered = false;
  const answer: Done = (error, info) => {
    if (isAnswered) return;
    isAnswered = true;
    connection.off('end', ended);
    // A reply behind it may show that it answers another command.
    queueMicrotask(() => done(connection.shift ?? (error && withRefusals(error, envelope as Noted)), info));
  };
  // What the library still says in the same turn knows more, so it comes first.
  const ended = () => queueMicrotask(() => answer(new Error('Connection closed unexpectedly')));
  connection.once('end', ended);
  return answer;
}

/**
 * A refused sender is refused, also if the connection ended before the reply to DATA. A 421 to a recipient ended it, also where the
 * library tells of another refusal.
 */
function withRefusals(error: SendError, { mailError, rejectedErrors = [] }: Noted): SendError {
  if (mailError) return mailError;
  const told = rejectedErrors.find(({ responseCode }) => responseCode === 421) ?? error;
  if (rejectedErrors.length > 0) told.rejectedErrors ??= rejectedErrors;
  return told;
}
