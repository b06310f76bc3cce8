/**
 * Rewrites an address by a map. A result is looked up again, as with Postfix: an address that stands for itself is
 * final, and a longer circle is refused. Bounded in depth and in number. Pure.
 */
import { isRouting, type Mailbox, printMailbox, readDomain, readMailbox, withoutRouting } from './address.ts';
import { type AddressMap, printKey } from './addressmap.ts';

/** Look-ups in a row. As in Postfix's canonical maps. */
const MOST_STEPS = 10;
/** Addresses of one alias. As in Postfix. */
const MOST_ADDRESSES = 1_000;
/** Look-ups for one alias: its addresses, and as many aliases on the way to them. */
const MOST_VISITED = 2 * MOST_ADDRESSES;

export type MapRefusal =
  /** The map refuses the address, with a text. */
  | { readonly cause: 'refused'; readonly text: string }
  /** Too deep, too many, or a circle. */
  | { readonly cause: 'loop' }
  /** No address is left that can be relayed. */
  | { readonly cause: 'nothing' }
  | { readonly cause: 'unreadable' }
  /** A return address that we did not sign, or too long ago. */
  | { readonly cause: 'foreign return' };

export type Rewritten =
  | { readonly kind: 'addresses'; readonly to: readonly string[] }
  | { readonly kind: 'refused'; readonly refusal: MapRefusal };

/** Who the map is for. Mail goes to recipients, so a host could be led astray by one of these, and never by a sender. */
export type AddressedAs = 'sender' | 'recipient';

/** The addresses in place of this one, each once. An address without an entry stays as it is written. */
export function rewriteAddress(map: AddressMap, address: string, as: AddressedAs): Rewritten {
  const mailbox = readMailbox(address);
  if (!mailbox || !map(mailbox)) return { kind: 'addresses', to: [address] };
  const expansion = new Expansion(map, as);
  expansion.visit(mailbox, []);
  if (expansion.fault) return refuse({ cause: expansion.fault });
  const to = [...expansion.result.values()];
  if (to.length > 0) return { kind: 'addresses', to };
  const { refusal } = expansion;
  return refuse(refusal === undefined ? { cause: 'nothing' } : { cause: 'refused', text: refusal });
}

class Expansion {
  readonly #map: AddressMap;
  readonly #as: AddressedAs;
  readonly #visited = new Set<string>();
  /** By key, so that each address is there once. */
  readonly result = new Map<string, string>();
  fault: 'loop' | 'unreadable' | undefined;
  /** The first refusal of a member. */
  refusal: string | undefined;

  constructor(map: AddressMap, as: AddressedAs) {
    this.#map = map;
    this.#as = as;
  }

  /** `path`: the keys that led here. */
  visit(mailbox: Mailbox, path: readonly string[]): void {
    const key = printKey(mailbox);
    if (path.includes(key) || path.length > MOST_STEPS || this.#visited.size > MOST_VISITED) {
      this.fault ??= 'loop';
      return;
    }
    if (this.fault || this.#visited.has(key)) return;
    this.#visited.add(key);
    const entry = this.#map(mailbox, path.length > 0);
    if (!entry) this.#add(mailbox, key);
    else if (entry.kind === 'unreadable') this.fault = 'unreadable';
    // A refused member of an alias gets nothing. The other members do.
    else if (entry.kind === 'refused') this.refusal ??= entry.text;
    else this.#visitAll(entry.to, mailbox, [...path, key]);
  }

  #visitAll(targets: readonly string[], from: Mailbox, path: readonly string[]): void {
    for (const target of targets) {
      const mailbox = readTarget(target, from);
      if (!mailbox) continue;
      const key = printKey(mailbox);
      if (key === path.at(-1)) this.#add(mailbox, key);
      else this.visit(mailbox, path);
    }
  }

  #add(mailbox: Mailbox, key: string): void {
    const isUnsafe = this.#as === 'recipient' && isRouting(mailbox);
    if (mailbox.domain === '' || isUnsafe || this.result.has(key)) return;
    this.result.set(key, printMailbox(mailbox));
    if (this.result.size > MOST_ADDRESSES) this.fault = 'loop';
  }
}

/**
 * A copy goes to these, which are not looked up again. Undefined if one of them cannot be relayed to: somebody has to change
 * the map. A local part that is kept from a sender may have what no recipient may have. Nobody could cure that, so the copy
 * goes without it, and the mail goes on.
 */
export function readTargets(targets: readonly string[], from: Mailbox): readonly string[] | undefined {
  const mailboxes = targets.map((target) => readTarget(target, withoutRouting(from)));
  const isWhole = mailboxes.every((one) => one !== undefined && one.domain !== '' && !isRouting(one));
  return isWhole ? mailboxes.flatMap((one) => (one ? printMailbox(one) : [])) : undefined;
}

/** `@domain` keeps the local part. */
function readTarget(text: string, from: Mailbox): Mailbox | undefined {
  if (!text.startsWith('@')) return readMailbox(text);
  const domain = readDomain(text.slice(1));
  return domain === undefined ? undefined : { ...from, domain };
}

function refuse(refusal: MapRefusal): Rewritten {
  return { kind: 'refused', refusal };
}
