/** What became of one recipient at a next hop. Pure. */
import { type Failure, oneLine } from '#crds/failure.ts';

export type Verdict =
  | { readonly kind: 'delivered'; readonly reply: string }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** 2xx is delivered (RFC 5321 section 4.2.1); of anything else the failure says what it means. */
export function judgeReply(code: number | undefined, said: string, command?: string): Verdict {
  return code !== undefined && code >= 200 && code < 300
    ? { kind: 'delivered', reply: oneLine(said) }
    : { kind: 'failed', failure: failureFromReply(code, said, command) };
}

/** These replies speak of the session and not of the mail: a wrong order of commands, a login that is wanted or wrong. */
const ABOUT_THE_SESSION = new Set([503, 530, 534, 535, 538]);

/**
 * What a reply means (RFC 5321 section 4.2.1): 5xx is final, all else waits. Mail is never given up for a protocol
 * error.
 */
export function failureFromReply(code: number | undefined, said: string, command?: string): Failure {
  const line = oneLine(said);
  const permanent = code !== undefined && code >= 500 && code < 600 && !ABOUT_THE_SESSION.has(code);
  const status = readStatus(line, permanent ? '5' : '4');
  const told = command === undefined ? {} : { command };
  if (code === undefined) return { permanent, cause: 'connect', status, text: line, ...told };
  return { permanent, cause: 'reply', status, text: line, ...told, reply: { code, line } };
}

/** The enhanced code behind the reply code (RFC 2034 section 4), where its class fits; else x.0.0. */
function readStatus(line: string, digit: '4' | '5'): string {
  const [, found] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(line) ?? [];
  return found?.startsWith(digit) ? found : `${digit}.0.0`;
}
