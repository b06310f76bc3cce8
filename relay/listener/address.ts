/**
 * Which addresses a relay passes on. Other servers read `%`, `!` and quoted `@` as routing instructions, so an address
 * that means one thing to us may mean another to the next hop: such forms are refused rather than guessed at. Pure.
 */
import { domainToASCII } from 'node:url';

/** What IDNA leaves as it is: ASCII without encoded labels, and no number, which would be read as an address. */
const PLAIN_DOMAIN = /^(?!.*xn--)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]+$/;

export interface RelayableAddress {
  readonly local: string;
  /** Lower case, as DNS has it (IDNA), without a trailing dot; or an address literal. */
  readonly domain: string;
}

/** The address in the form that is relayed, or undefined when it must not be. */
export function relayable(address: string): RelayableAddress | undefined {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at);
  if (at <= 0 || !isPlainLocalPart(local) || address.includes('\uFFFD')) return undefined;
  const domain = domainOf(address.slice(at + 1));
  return domain === '' ? undefined : { local, domain };
}

/** RFC 5321 section 4.1.1.3: the postmaster without a domain is that of the first domain that is accepted here. */
export function withPostmasterDomain(address: string, acceptDomains: readonly string[]): string {
  const [domain] = acceptDomains;
  return address.toLowerCase() === 'postmaster' && domain !== undefined ? `${address}@${domain}` : address;
}

export function printAddress({ local, domain }: RelayableAddress): string {
  return `${local}@${domain}`;
}

/** A local part beyond ASCII is for those who said SMTPUTF8 (RFC 6531 section 3.4); domains are written in ASCII. */
export function needsSmtpUtf8(address: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  return !/^[\x00-\x7f]*$/.test(address.slice(0, address.lastIndexOf('@')));
}

/** Empty when it is no domain. smtp-server hands international domains over in Unicode. */
function domainOf(text: string): string {
  const lower = text.toLowerCase();
  if (lower.startsWith('[') || PLAIN_DOMAIN.test(lower)) return lower;
  return domainToASCII(lower.replace(/\.$/, ''));
}

function isPlainLocalPart(local: string): boolean {
  return !/[%!@\\\s:;,<>]/.test(local);
}

/**
 * The raw argument of MAIL or RCPT, as bytes: ill-formed UTF-8 and source routes are refused before the library turns
 * the first into U+FFFD and strips the second silently.
 */
export function rawPathIsPlain(command: Buffer): boolean {
  const text = command.toString('latin1');
  if (/:\s*<@/.test(text)) return false;
  return command.equals(Buffer.from(command.toString('utf8'), 'utf8'));
}
