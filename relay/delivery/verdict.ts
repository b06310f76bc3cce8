/** The verdict on one recipient at a next hop. Pure. */
import { type Failure, oneLine } from '#crds/failure.ts';
import { asksToSlowDown } from './slowdown.ts';

/** What a mailbox provider says of a mail that one of its users complains about (RFC 5965). It may hide most of it. */
export interface Complaint {
  /** The domain that signed the report. */
  readonly reporter: string;
  /** Who wrote the report. Everybody with a mailbox at the provider may write one. */
  readonly reporterAddress?: string;
  /** "abuse" mostly. In lower case. */
  readonly feedbackType: string;
  /** Of the mail, if this relay knows that it had it. */
  readonly queueId?: string;
  /** Without its brackets. */
  readonly messageId?: string;
  /** The sender in the envelope. Empty: the null sender. */
  readonly from?: string;
  readonly recipients: readonly string[];
  /** When the provider got the mail: RFC 3339, UTC. */
  readonly arrivedAt?: string;
  readonly reportedDomains: readonly string[];
  /** The host from which the provider got the mail. */
  readonly sourceIp?: string;
}

export type Verdict =
  /** `complaint`: the mail was one, and it ends here. */
  | { readonly kind: 'delivered'; readonly reply: string; readonly complaint?: Complaint }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A 2xx reply means delivered (RFC 5321 section 4.2.1). For every other reply the failure has the meaning. */
export function judgeReply(code: number | undefined, said: string, command?: string): Verdict {
  return code !== undefined && code >= 200 && code < 300
    ? { kind: 'delivered', reply: oneLine(said) }
    : { kind: 'failed', failure: failureFromReply(code, said, command) };
}

/** These replies concern the session and not the message: a wrong order of commands, or a missing or wrong login. */
const ABOUT_THE_SESSION = new Set([503, 530, 534, 535, 538]);

/**
 * The meaning of a reply (RFC 5321 section 4.2.1): 5xx is final, every other code waits. A protocol error never ends a
 * message.
 */
export function failureFromReply(code: number | undefined, said: string, command?: string): Failure {
  const line = oneLine(said);
  const permanent = code !== undefined && code >= 500 && code < 600 && !ABOUT_THE_SESSION.has(code);
  const status = readStatus(line, permanent ? '5' : '4');
  const told = {
    ...(command === undefined ? {} : { command }),
    ...(asksToSlowDown(code, line) ? { slowDown: true as const } : {}),
  };
  if (code === undefined) return { permanent, cause: 'connect', status, text: line, ...told };
  return { permanent, cause: 'reply', status, text: line, ...told, reply: { code, line } };
}

/**
 * Reads the enhanced code after the reply code (RFC 2034 section 4). x.0.0 if there is none or if its class differs.
 */
function readStatus(line: string, digit: '4' | '5'): string {
  const [, found] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(line) ?? [];
  return found?.startsWith(digit) ? found : `${digit}.0.0`;
}
