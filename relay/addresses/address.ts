/**
 * Mail addresses: how this relay reads and writes them. Devices and carriers use forms that RFC 5321 forbids (a dot at
 * the end of a local part, an underscore in a domain). The relay reads them as Postfix does, and writes them as the RFC
 * demands: a local part that is no dot-string gets quotes. Other servers read `%`, `!` and a quoted `@` of a recipient
 * as routing, so the next hop might send the mail elsewhere. Such a recipient is refused. Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { domainAt } from '#crds/patterns.ts';

export interface Mailbox {
  /** Without quotes and escapes. */
  readonly local: string;
  /** True if the client wrote it in quotes. */
  readonly isQuoted: boolean;
  /**
   * Lower case, in the form of DNS (IDNA), without a final dot. Or an address literal. Empty: the address has no
   * domain.
   */
  readonly domain: string;
}

/** A quoted string, or characters that need no quotes to mark its end. Then the domain. */
const ADDRESS = /^(?:"((?:[^"\\]|\\.)*)"|([^\s"\\()[\],;<>@]+))(?:@(.+))?$/s;
/** C0 and C1 controls, and characters that nobody sees. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufffd]/;
const DOT_STRING = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/;
/** Letters, digits and hyphens. Also the underscore, which host names of Windows and of ISPs contain. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/**
 * Many programs read a name that ends in a number as an IP address (192.0.2.1, 0x7f.1). No top-level domain is a
 * number.
 */
const NUMBER = /^(?:\d+|0x[\da-f]*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;
const POSTMASTER = /^("?)postmaster\1$/i;
const ROUTING = /[%!@\\:;,<>]/;
/** RFC 5321 section 4.5.3.1.3: a path of 256, minus its brackets and one spare byte. */
const LONGEST = 253;
/** RFC 1035 section 2.3.4, without the final dot. */
const LONGEST_DOMAIN = 253;
/** In lower case. `domainToASCII` reads its argument as a part of a URL: it cuts at `/`, `?` and `#`, and decodes `%41`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII that is in no domain
const IN_NO_DOMAIN = /[\x00-,/:-^`{-\x7f]/;

/** What a client gives has a limit. Quotes and a domain that the relay adds make it longer, and it is still an address. */
export function readGivenMailbox(text: string): Mailbox | undefined {
  return text.length > LONGEST ? undefined : readMailbox(text);
}

/** Undefined if the text is no address. */
export function readMailbox(text: string): Mailbox | undefined {
  const [, quoted, plain, host] = ADDRESS.exec(text) ?? [];
  const local = plain ?? quoted?.replace(/\\(.)/gs, '$1') ?? '';
  // Angle brackets inside quotes cannot be written to every next hop.
  if (local === '' || UNSAFE.test(text) || /[<>]/.test(local)) return undefined;
  const domain = host === undefined ? '' : readDomain(host);
  return domain === undefined ? undefined : { local, isQuoted: plain === undefined, domain };
}

/**
 * A local part that is no dot-string is written in quotes (RFC 5321 section 4.1.2). A quoted local part keeps its
 * quotes.
 */
export function printMailbox({ local, isQuoted, domain }: Mailbox): string {
  const printed = !isQuoted && DOT_STRING.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
  return domain === '' ? printed : `${printed}@${domain}`;
}

/** True if another server could read the local part as routing to another host. */
export function isRouting({ local }: Pick<Mailbox, 'local'>): boolean {
  return ROUTING.test(local);
}

/** The same, with "=" in place of what could be read as routing. */
export function withoutRouting(mailbox: Mailbox): Mailbox {
  return { ...mailbox, local: mailbox.local.replace(new RegExp(ROUTING, 'g'), '=') };
}

/** A sender without a domain gets that of the relay. The null sender stays. */
export function withSenderDomain(address: string, hostname: string): string {
  return address === '' || hasDomain(address) ? address : `${address}@${hostname}`;
}

/** Of an address as `printMailbox` writes it. */
export function hasDomain(printed: string): boolean {
  return domainAt(printed) > 0;
}

/** The postmaster without a domain gets the first accepted domain (RFC 5321 section 4.1.1.3). */
export function withPostmasterDomain(address: string, acceptDomains: readonly string[]): string {
  const [domain] = acceptDomains;
  return POSTMASTER.test(address) && domain !== undefined ? `${address}@${domain}` : address;
}

/** A local part beyond ASCII needs SMTPUTF8 (RFC 6531 section 3.4). Domains are written in ASCII. */
export function needsSmtpUtf8(address: string): boolean {
  return !ASCII.test(address);
}

/** The form of `Mailbox.domain`. Undefined if the text is no domain. */
export function readDomain(given: string): string | undefined {
  const text = given.toLowerCase();
  if (text.startsWith('[')) return isLiteral(text) ? text : undefined;
  const host = text.replace(/\.$/, '');
  if (IN_NO_DOMAIN.test(host)) return undefined;
  const isPlain = ASCII.test(host) && !host.includes('xn--');
  // A label that only looks international is a label of DNS like others.
  const ascii = isPlain ? host : domainToASCII(host) || host;
  const labels = ascii.split('.');
  const isDomain = labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? '');
  return isDomain && ascii.length <= LONGEST_DOMAIN ? ascii : undefined;
}

/** RFC 5321 section 4.1.3, in lower case. */
function isLiteral(text: string): boolean {
  const [, version, address = ''] = /^\[(ipv6:)?([^\]]*)\]$/.exec(text) ?? [];
  return version ? isIPv6(address) : isIPv4(address);
}
