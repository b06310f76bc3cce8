/**
 * Whether a reply of a next hop asks for fewer messages: 421, a status 4.7.x (RFC 3463: policy), or the words of known
 * receivers. Greylisting refuses the first try of each message and asks for nothing else. Pure.
 */
const WORDS =
  /too many (concurrent |simultaneous )?(connections|sessions|messages)|too fast|rate[- ]?limit|throttl|slow(ing)? down|unusual rate|unexpected volume|server (is )?busy/i;
const GREYLISTING = /gr[ae]y-?list/i;

/** A server that shuts down, or ended an idle session (RFC 3463: mail system, and network). */
const ENDS = /^(\d{3}[ -])?4\.[34]\.\d{1,3}\b/;

/** `code` and text of the reply, with or without its code at the beginning. */
export function asksToSlowDown(code: number | undefined, text: string): boolean {
  if (code === undefined || code < 400 || code > 499 || GREYLISTING.test(text)) return false;
  if (WORDS.test(text) || /^(\d{3}[ -])?4\.7\.\d{1,3}\b/.test(text)) return true;
  return code === 421 && !ENDS.test(text);
}
