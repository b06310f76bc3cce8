/**
 * Replaces addresses in a header field. Names, comments and every other byte stay. A field that cannot be read with
 * certainty stays unchanged. Pure.
 */
import { parseMailboxes } from './mailboxes.ts';
import type { Field } from './section.ts';

/** `names`: the fields that are edited. `replace` returns undefined for an address that stays. */
export function editAddresses(
  { name, text }: Field,
  names: ReadonlySet<string>,
  replace: (address: string) => string | undefined,
): string {
  if (!names.has(name)) return text;
  let result = '';
  let done = 0;
  for (const { local, at, domain, domainAt } of parseMailboxes(text, text.indexOf(':') + 1) ?? []) {
    const address = replace(decode(`${local}@${domain}`));
    if (address === undefined) continue;
    result += text.slice(done, at) + encode(address);
    done = domainAt + domain.length;
  }
  return result + text.slice(done);
}

/** A field is text of one character for each byte (section.ts), and its addresses are UTF-8 (RFC 6532). */
function decode(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}

function encode(text: string): string {
  return Buffer.from(text).toString('latin1');
}
