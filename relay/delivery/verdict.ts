/**
 * What a reply deps for a recipient (RFC 5321 section 4.2.1): 2xx is delivered, 4xx waits, 5xx is refused for good.
 * Anything else, no reply included, waits: mail is never given up for a protocol error. Pure.
 */
export type Verdict =
  | { kind: 'delivered'; reply: string }
  | { kind: 'deferred'; reason: string }
  | { kind: 'refused'; reason: string };

/** These speak of the session and not of the mail: a wrong order of commands, a login that is wanted or wrong. */
const ABOUT_THE_SESSION = new Set([503, 530, 534, 535, 538]);

export function classifyReply(code: number | undefined, reply: string): Verdict {
  const reason = reply.slice(0, 500);
  if (code !== undefined && code >= 200 && code < 300) return { kind: 'delivered', reply: reason };
  const isFinal = code !== undefined && code >= 500 && code < 600 && !ABOUT_THE_SESSION.has(code);
  return isFinal ? { kind: 'refused', reason } : { kind: 'deferred', reason };
}
