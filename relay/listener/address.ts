/**
 * Addresses as clients write them, and as we write them on. Devices and carriers use forms that RFC 5321 forbids (a dot
 * at the end of a local part, an underscore in a domain); they are read as Postfix reads them, and written as the RFC has
 * them: a local part that is no dot-string is quoted. Other servers read `%`, `!` and a quoted `@` of a recipient as
 * routing instructions, so an address that means one thing to us may mean another to the next hop: no such recipient is
 * taken. Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

export interface Mailbox {
  /** Without quotes and escapes. */
  readonly local: string;
  /** The client wrote it in quotes. */
  readonly isQuoted: boolean;
  /** Lower case, as DNS has it (IDNA), without a final dot; or an address literal; empty: the address has none. */
  readonly domain: string;
}

/** A quoted string, or anything that needs no quotes to be told from what is around it; then the domain. */
const ADDRESS = /^(?:"((?:[^"\\]|\\.)*)"|([^\s"\\()[\],;<>@]+))(?:@(.+))?$/s;
/** C0 and C1 controls, and characters that nobody sees. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufffd]/;
const DOT_STRING = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/;
/** Letters, digits and hyphens, and the underscore that hosts of Windows and ISPs have. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** A name that ends in a number is an address to many (192.0.2.1, 0x7f.1), and no top-level domain is one. */
const NUMBER = /^(?:\d+|0x[\da-f]*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;
const ROUTING = /[%!@\\:;,<>]/;
/** RFC 5321 section 4.5.3.1.3: a path of 256, without its brackets and a byte to spare. */
const LONGEST = 253;

/** Undefined when the text is no address. */
export function readMailbox(text: string): Mailbox | undefined {
  const [, quoted, plain, host] = ADDRESS.exec(text) ?? [];
  const local = plain ?? quoted?.replace(/\\(.)/gs, '$1') ?? '';
  // What is in angle brackets inside quotes cannot be written to every next hop.
  if (local === '' || text.length > LONGEST || UNSAFE.test(text) || /[<>]/.test(local)) return undefined;
  const domain = host === undefined ? '' : readDomain(host.toLowerCase());
  return domain === undefined ? undefined : { local, isQuoted: plain === undefined, domain };
}

/** RFC 5321 section 4.1.2: a local part that is no dot-string goes in quotes; one that came in them keeps them. */
export function printMailbox({ local, isQuoted, domain }: Mailbox): string {
  const printed = !isQuoted && DOT_STRING.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
  return domain === '' ? printed : `${printed}@${domain}`;
}

/** Whether another server could read a way to somewhere else in it. */
export function isRouting({ local }: Pick<Mailbox, 'local'>): boolean {
  return ROUTING.test(local);
}

/** RFC 5321 section 4.1.1.3: the postmaster without a domain is that of the first domain that is accepted here. */
export function withPostmasterDomain(address: string, acceptDomains: readonly string[]): string {
  const [domain] = acceptDomains;
  return address.toLowerCase() === 'postmaster' && domain !== undefined ? `${address}@${domain}` : address;
}

/** A local part beyond ASCII is for those who said SMTPUTF8 (RFC 6531 section 3.4); domains are written in ASCII. */
export function needsSmtpUtf8(address: string): boolean {
  return !ASCII.test(address);
}

function readDomain(text: string): string | undefined {
  if (text.startsWith('[')) return isLiteral(text) ? text : undefined;
  const host = text.replace(/\.$/, '');
  const isPlain = ASCII.test(host) && !host.includes('xn--');
  const ascii = isPlain ? host : domainToASCII(host);
  const labels = ascii.split('.');
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? '') ? ascii : undefined;
}

/** RFC 5321 section 4.1.3, in lower case. */
function isLiteral(text: string): boolean {
  const [, version, address = ''] = /^\[(ipv6:)?([^\]]*)\]$/.exec(text) ?? [];
  return version ? isIPv6(address) : isIPv4(address);
}
