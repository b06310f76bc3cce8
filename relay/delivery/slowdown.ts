/**
 * Whether a reply of a next hop asks for fewer messages: a 421, or a 4xx reply that says so. Many refusals for other
 * reasons have the status 4.7.x too (a missing PTR record, SPF, greylisting, a filter that is away), so the status alone
 * says nothing, and "try again later" says no more than the code. Pure.
 */
interface Sign {
  /** Who answers so. */
  readonly by: string;
  readonly reply: RegExp;
}

const ASKS: readonly Sign[] = [
  {
    by: 'a mail flood: X.7.28 of the IANA registry of enhanced status codes; Gmail',
    reply: /^(\d{3}[ -])?4\.7\.28\b/,
  },
  { by: 'Exchange Online: 4.7.500 to 4.7.699, by address or tenant', reply: /^(\d{3}[ -])?4\.7\.[56]\d\d\b/ },
  {
    by: 'Postfix (anvil), Exim, Sendmail, Barracuda, this relay',
    reply:
      /too (many ((new|open|concurrent|simultaneous) )?(SMTP |TLS )?(connections|sessions|messages|mails|emails)|many (recipients|new TLS sessions) from|much mail from|fast)/i,
  },
  {
    by: 'Exchange, Outlook.com (RP-002, RP-003, 4.7.652)',
    reply:
      /concurrent (server )?connections|connection limit|(number of|reached the|limit(s|ed)? (of|on)) connections/i,
  },
  {
    by: 'Gmail, Outlook.com (RP-001), rspamd (ratelimit), Sendmail, Exchange ("submission rate")',
    reply:
      /rate[- ]?(limit|control)|unusual rate|(submission|sending|connection) rate|how many messages can be sent/i,
  },
  { by: 'Gmail as a smart host', reply: /relay limit exceeded/i },
  { by: 'Yahoo (TSS04)', reply: /unexpected volume|excessive volume/i },
  { by: 'Amazon SES, Orange, many others', reply: /throttl|slow(ing)? down/i },
  { by: 'Exim, as cPanel sets it up', reply: /reached its limit for processing requests/i },
  {
    by: 'Gmail (4.4.5), Exchange Online, postscreen',
    reply: /server (is )?(too )?busy|all server ports are busy/i,
  },
];

/** These say nothing of other messages. */
const ASKS_NOTHING: readonly Sign[] = [
  { by: 'greylisting refuses the first try of each message', reply: /gr[ae]y-?list/i },
  {
    by: 'a status of the address or the mailbox: one recipient gets too much (Gmail: 4.2.1)',
    reply: /^(\d{3}[ -])?4\.[12]\.\d{1,3}\b(?!.*relay limit)/i,
  },
];

/** A server that shuts down, or ended an idle session (RFC 3463: mail system, and network). */
const ENDS = /^(\d{3}[ -])?4\.[34]\.\d{1,3}\b/;

/** `code` and text of the reply, with or without its code at the beginning. */
export function asksToSlowDown(code: number | undefined, text: string): boolean {
  if (code === undefined || code < 400 || code > 499) return false;
  return saysToSlowDown(text) || (code === 421 && !ENDS.test(text) && !asksNothing(text));
}

/** The words of a 4xx reply ask for fewer messages, whatever its code is. */
export function saysToSlowDown(text: string): boolean {
  return ASKS.some(({ reply }) => reply.test(text)) && !asksNothing(text);
}

function asksNothing(text: string): boolean {
  return ASKS_NOTHING.some(({ reply }) => reply.test(text));
}
