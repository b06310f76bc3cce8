/**
 * Patterns of senders, as in the manifest: domains, `*.example.com` and addresses. They say what a login may use, and which
 * route mail takes. Addresses and patterns are compared as the relay reads them (address.ts), so quotes, case, and an
 * international domain in its own letters make no difference. An address that cannot be read is nobody's. Pure.
 */
import { compilePatterns } from '#crds/patterns.ts';
import { readDomain, readMailbox } from './address.ts';

/** True if a pattern matches this address. */
export type SenderMatcher = (address: string) => boolean;

/** Undefined if one of the patterns is no address and no domain. */
export function compileSenders(patterns: readonly string[]): SenderMatcher | undefined {
  const read = patterns.map(readPattern);
  return read.every((pattern) => pattern !== undefined) ? makeMatcher(read) : undefined;
}

/** A pattern that is no address and no domain matches nobody. */
export function compileReadableSenders(patterns: readonly string[]): SenderMatcher {
  return makeMatcher(patterns.map(readPattern).filter((pattern) => pattern !== undefined));
}

function makeMatcher(read: readonly string[]): SenderMatcher {
  const matches = compilePatterns(read);
  return (address) => {
    const known = readAddress(address);
    return known !== undefined && matches(known);
  };
}

function readPattern(text: string): string | undefined {
  // A star for a local part would match nothing but itself: a domain stands for all its addresses.
  if (text.includes('@')) return text.startsWith('*@') ? undefined : readAddress(text);
  const below = text.startsWith('*.') ? '*.' : '';
  const domain = readDomain(text.slice(below.length));
  return domain === undefined ? undefined : below + domain;
}

function readAddress(text: string): string | undefined {
  const mailbox = readMailbox(text);
  return mailbox?.domain ? `${mailbox.local}@${mailbox.domain}` : undefined;
}
