/**
 * Hides host names behind their domain, as `masquerade_domains` of Postfix does: user@host.example.com becomes
 * user@example.com. Only the labels in front of the listed domain are cut away, so all else keeps its bytes; what
 * cannot be read beyond doubt stays as it is. Pure.
 */
import { mailboxesOf } from './mailboxes.ts';
import type { Field } from './section.ts';

/** Fields that name a sender. Recipients are never changed: they may exist below the host name only. */
const SENDER_FIELDS = new Set(['from', 'sender', 'reply-to', 'resent-from', 'resent-sender']);

/** The address as the world should see it; the null sender, literals and what is not listed stay as they are. */
export function masqueradedAddress(address: string, domains: readonly string[]): string {
  const at = address.lastIndexOf('@') + 1;
  return at === 0 ? address : address.slice(0, at) + masqueradedDomain(address.slice(at), domains);
}

/** The text of a field, with the domains of its addresses masqueraded if it names a sender. */
export function masqueradedField({ name, text }: Field, domains: readonly string[]): string {
  if (domains.length === 0 || !SENDER_FIELDS.has(name)) return text;
  const mailboxes = mailboxesOf(text, text.indexOf(':') + 1);
  let result = '';
  let done = 0;
  for (const { domain, domainAt } of mailboxes ?? []) {
    result += text.slice(done, domainAt) + masqueradedDomain(domain, domains);
    done = domainAt + domain.length;
  }
  return result + text.slice(done);
}

/** The longest listed domain wins; one that is itself listed stays, although a shorter one is listed too. */
function masqueradedDomain(domain: string, domains: readonly string[]): string {
  const lower = lowerCase(domain);
  if (lower.split('.').includes('')) return domain;
  const lengths = domains
    .map(lowerCase)
    .filter((listed) => listed === lower || (listed !== '' && lower.endsWith(`.${listed}`)))
    .map(({ length }) => length);
  return lengths.length === 0 ? domain : domain.slice(-Math.max(...lengths));
}

/** ASCII only: other characters may change their number, and as latin1 they are parts of characters. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
}
