/**
 * Hides host names behind their domain, as Postfix's `masquerade_domains`: user@host.example.com becomes
 * user@example.com. Only the labels before the listed domain are removed, so all other bytes stay. An address that
 * cannot be read with certainty stays unchanged. Pure.
 */
import { domainAt } from '#crds/patterns.ts';
import { parseMailboxes } from './mailboxes.ts';
import type { Field } from './section.ts';

/** Fields that name a sender. Recipients never change, because an address may exist only below the host name. */
const SENDER_FIELDS = new Set(['from', 'sender', 'reply-to', 'resent-from', 'resent-sender']);

/** The masqueraded address. The null sender, literals and domains that are not listed stay unchanged. */
export function masqueradedAddress(address: string, domains: readonly string[]): string {
  const at = domainAt(address);
  return at === 0 ? address : address.slice(0, at) + masqueradedDomain(address.slice(at), domains);
}

/** The text of a field. If the field names a sender, the domains of its addresses are masqueraded. */
export function masqueradedField({ name, text }: Field, domains: readonly string[]): string {
  if (domains.length === 0 || !SENDER_FIELDS.has(name)) return text;
  const mailboxes = parseMailboxes(text, text.indexOf(':') + 1);
  let result = '';
  let done = 0;
  for (const { domain, domainAt } of mailboxes ?? []) {
    result += text.slice(done, domainAt) + masqueradedDomain(domain, domains);
    done = domainAt + domain.length;
  }
  return result + text.slice(done);
}

/** The longest listed domain wins. A domain that is itself listed stays, even if a shorter one is listed too. */
function masqueradedDomain(domain: string, domains: readonly string[]): string {
  const lower = lowerCase(domain);
  if (lower.split('.').includes('')) return domain;
  const lengths = domains
    .map(lowerCase)
    .filter((listed) => listed === lower || (listed !== '' && lower.endsWith(`.${listed}`)))
    .map(({ length }) => length);
  return lengths.length === 0 ? domain : domain.slice(-Math.max(...lengths));
}

/** ASCII only: other characters may change their length, and in latin1 they are parts of characters. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
}
