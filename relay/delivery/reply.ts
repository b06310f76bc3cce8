/** The form of an SMTP reply (RFC 5321 section 4.2). Pure. */

/** The code of a reply and its status (RFC 2034): all that is kept of a reply to AUTH. */
export function readCodes(reply: string): string {
  const [codes = ''] = /^\d{3}(?:[ -][245]\.\d{1,3}\.\d{1,3}(?= |$))?/.exec(reply) ?? [];
  return codes.replace('-', ' ');
}
