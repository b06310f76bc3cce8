/**
 * Look-up of an address in an ordered list of tables, as Postfix does: first the address in all tables, then its domain
 * (`@example.com`), then the domains above (`@*.example.com`, the closest first), then `*`. Local parts are compared
 * without regard to case, as in Postfix. Domains are in lower case and in the form of DNS, so an IDN has one form. Pure.
 */
import { crc32 } from 'node:zlib';
import {
  hasDomain,
  type Mailbox,
  printMailbox,
  readDomain,
  readMailbox,
  withSenderDomain,
} from './address.ts';

export type Entry =
  | { readonly kind: 'addresses'; readonly to: readonly string[] }
  | { readonly kind: 'refused'; readonly text: string }
  /** The table cannot be read, so nobody knows whether it has an entry. */
  | { readonly kind: 'unreadable' };

export interface Table {
  readonly find: (key: Key) => Entry | undefined;
  /** Without them it has whole addresses alone, and is asked for nothing else: most keys of a look-up are patterns. */
  readonly hasPatterns: boolean;
}

/** Its bytes and their hash are made once, however many tables are asked. */
export class Key {
  readonly text: string;
  #hashed: { readonly bytes: Buffer; readonly hash: number } | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get hashed(): { readonly bytes: Buffer; readonly hash: number } {
    if (!this.#hashed) {
      const bytes = Buffer.from(this.text);
      this.#hashed = { bytes, hash: crc32(bytes) };
    }
    return this.#hashed;
  }
}

/** `isResult`: the address is a result of the map, so `*` is not for it. Else no alias could lead past a `*`. */
export type AddressMap = (mailbox: Mailbox, isResult?: boolean) => Entry | undefined;

/** Undefined without tables: nothing is looked up. `origin`: the domain of the addresses that have none, as in Postfix. */
export function makeAddressMap(tables: readonly Table[], origin: string): AddressMap | undefined {
  if (tables.length === 0) return undefined;
  const ofPatterns = tables.filter(({ hasPatterns }) => hasPatterns);
  return (mailbox, isResult = false) => {
    const entry = findIn(tables, printKey(mailbox)) ?? findPattern(ofPatterns, mailbox, isResult);
    return entry && withOrigin(entry, origin);
  };
}

function findPattern(tables: readonly Table[], mailbox: Mailbox, isResult: boolean): Entry | undefined {
  if (tables.length === 0) return undefined;
  for (const text of listPatterns(mailbox, isResult)) {
    const entry = findIn(tables, text);
    if (entry) return entry;
  }
  return undefined;
}

function findIn(tables: readonly Table[], text: string): Entry | undefined {
  const key = new Key(text);
  for (const { find } of tables) {
    const entry = find(key);
    if (entry) return entry;
  }
  return undefined;
}

function withOrigin(entry: Entry, origin: string): Entry {
  if (entry.kind !== 'addresses' || entry.to.every(hasDomain)) return entry;
  return {
    ...entry,
    to: entry.to.map((target) => withSenderDomain(target, origin)),
  };
}

/** The table of inline entries. Of two entries with one key, the first counts. */
export function makeTable(
  entries: readonly {
    readonly address: string;
    readonly to: readonly string[];
    readonly refuse: string | null;
  }[],
): Table {
  const found = new Map<string, Entry>();
  for (const { address, to, refuse } of entries) {
    const key = readKey(address);
    if (key === undefined || found.has(key)) continue;
    found.set(key, refuse === null ? { kind: 'addresses', to } : { kind: 'refused', text: refuse });
  }
  return { find: ({ text }) => found.get(text), hasPatterns: [...found.keys()].some(isPattern) };
}

/** The key of the left side of an entry: an address, `@domain`, `@*.domain` or `*`. Undefined if it is none of these. */
export function readKey(text: string): string | undefined {
  if (text === '*') return text;
  const [, begin, host] = /^(@(?:\*\.)?)([^@]+)$/.exec(text) ?? [];
  if (begin !== undefined && host !== undefined) {
    const domain = readDomain(host);
    return domain === undefined ? undefined : `${begin}${domain}`;
  }
  const mailbox = readMailbox(text);
  return mailbox && mailbox.domain !== '' ? printKey(mailbox) : undefined;
}

/** The same of a text. */
export function keyOf(address: string): string {
  const mailbox = readMailbox(address);
  return mailbox ? printKey(mailbox) : address.toLowerCase();
}

/**
 * An address as it is compared. Quotes around a local part do not matter. Those inside it do, so the key of a key is the
 * same key, and no two mailboxes have one.
 */
export function printKey({ local, domain }: Mailbox): string {
  const text = local.toLowerCase();
  return `${/["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text}@${domain}`;
}

/** The address of a key of `printKey`, as other programs read it. */
export function printKeyed(key: string): string {
  const at = key.lastIndexOf('@');
  const mailbox = readMailbox(key) ?? { local: key.slice(0, at), isQuoted: false, domain: key.slice(at + 1) };
  return printMailbox(mailbox);
}

/** True for a key that stands for many addresses. */
export function isPattern(key: string): boolean {
  return key === '*' || key.startsWith('@');
}

/** The patterns by which an address is found, the closest first. */
function* listPatterns({ domain }: Mailbox, isResult: boolean): Generator<string> {
  yield `@${domain}`;
  for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1))
    yield `@*${domain.slice(dot)}`;
  if (!isResult) yield '*';
}
