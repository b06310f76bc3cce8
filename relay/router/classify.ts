/**
 * What a reply means for a recipient (RFC 5321 section 4.2.1): 2xx is delivered, 4xx waits, 5xx is refused for good.
 * Anything else, no reply included, waits: mail is never given up for a protocol error. Pure.
 */
export type Verdict =
  | { kind: 'delivered'; reply: string }
  | { kind: 'deferred'; reason: string }
  | { kind: 'refused'; reason: string };

export function classifyReply(code: number | undefined, reply: string): Verdict {
  const reason = reply.slice(0, 500);
  if (code !== undefined && code >= 200 && code < 300) return { kind: 'delivered', reply: reason };
  // 530 and 535 speak of the session, not of the mail: a login is wanted, or wrong.
  const aboutSession = code === 530 || code === 535 || code === 538;
  if (code !== undefined && code >= 500 && code < 600 && !aboutSession) return { kind: 'refused', reason };
  return { kind: 'deferred', reason };
}
