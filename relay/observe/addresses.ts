/**
 * Addresses in the fields of a log line, as `spec.logging.addresses` wants them. Some fields hold addresses, by name.
 * Every other text is searched for addresses, because replies of next hops, reasons and names from clients quote them. Pure.
 */
import { domainAt } from '#crds/patterns.ts';
import type { Policy } from '#crds/policyfile.ts';

type Addresses = Policy['logging']['addresses'];
type Value = string | number | boolean | null | undefined | readonly string[];
export type Fields = Readonly<Record<string, Value>>;

/** A text in these is an address, with or without a domain. */
const ADDRESS_FIELDS = new Set(['from', 'to', 'address', 'sender', 'recipient']);
/** Sentences. They may quote a local part alone. */
const SENTENCES = new Set(['reply', 'reason', 'reasons', 'fellBackReason', 'message']);
const IN_TEXT =
  /(?:"(?:[^"\\]|\\.)*"|[^\s<>()[\]:;,"@\\]+)@(?:\[[^\]\s]*\]|[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*)/gu;
/** A role of every domain (RFC 5321 section 4.5.1), not a person. */
const ROLE = /^postmaster$/i;
const HIDDEN = '***';

/** `hash` makes a name of an address: the same one for the same address. */
export function hideAddresses(
  fields: Fields,
  addresses: Addresses,
  hash: (address: string) => string,
): Fields {
  if (addresses === 'Full') return fields;
  const hide = (address: string) => hideOne(address, addresses === 'Hash' ? hash : () => '');
  const quoted = localPartsIn(fields);
  const inText = (name: string) => (text: string) => {
    const shown = text.replace(IN_TEXT, hide);
    return SENTENCES.has(name) && quoted ? shown.replace(quoted, HIDDEN) : shown;
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      mapTexts(value, ADDRESS_FIELDS.has(name) ? hide : inText(name)),
    ]),
  );
}

/** The domain stays. Without one, all of it is a local part. */
function hideOne(address: string, nameOf: (address: string) => string): string {
  if (address === '' || ROLE.test(address)) return address;
  const rest = address.slice(localPart(address).length);
  return rest === '' ? nameOf(address) || HIDDEN : nameOf(address) + rest;
}

function localPart(address: string): string {
  const at = domainAt(address);
  return at === 0 ? address : address.slice(0, at - 1);
}

/** Finds them as whole words. */
function localPartsIn(fields: Fields): RegExp | undefined {
  const addresses = [...ADDRESS_FIELDS].flatMap((name) => listTexts(fields[name]));
  const parts = addresses
    .map((address) => localPart(address).replace(/^"(.*)"$/, '$1'))
    .flatMap((part) => [part, part.replace(/\+.*/, '')])
    .filter((part) => part !== '' && !ROLE.test(part));
  if (parts.length === 0) return undefined;
  const words = [...new Set(parts)].map((part) => escapeForRegExp(part)).join('|');
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${words})(?![\\p{L}\\p{N}])`, 'giu');
}

function listTexts(value: Value): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value : [];
}

function mapTexts(value: Value, change: (text: string) => string): Value {
  if (typeof value === 'string') return change(value);
  return Array.isArray(value) ? value.map(change) : value;
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
