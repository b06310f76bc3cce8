/**
 * Judges the fields that say who wrote and who sent a message (RFC 5322 sections 3.6.2, 3.6.3 and 3.6.6), for a client
 * that may use only some senders. It reads the message as the client wrote it. Mail programs read broken fields in
 * different ways, so everything that is not plain is a fault: fails closed. Pure.
 */
import { parseMailboxes } from './mailboxes.ts';
import { decodeHead, type Field, parseFields, SectionFinder } from './section.ts';

export type OriginatorFault =
  | { readonly kind: 'not allowed'; readonly field: string; readonly address: string }
  /** No mailbox, a group, or a form that mail programs read in different ways. */
  | { readonly kind: 'unreadable'; readonly field: string }
  | { readonly kind: 'several'; readonly field: string }
  | { readonly kind: 'no From' }
  /** A line of the header section is no field, or the section is too long to be read. */
  | { readonly kind: 'unreadable header' };

/** By the name in lower case. A message has at most one From and one Sender. */
const ORIGINATORS: ReadonlyMap<string, string> = new Map(
  ['From', 'Sender', 'Resent-From', 'Resent-Sender'].map((name) => [name.toLowerCase(), name]),
);
const ONCE = new Set(['from', 'sender']);
/** An encoded word is no part of an address (RFC 2047 section 5), but some mail programs decode it there. */
const ENCODED_WORD = /=\?.*\?=/s;

/** Finds the first fault of a message that passes as a stream. Keeps no more than the header section. */
export class OriginatorGuard {
  readonly #allows: (address: string) => boolean;
  #finder: SectionFinder | undefined = new SectionFinder();
  #section = '';

  constructor(allows: (address: string) => boolean) {
    this.#allows = allows;
  }

  push(chunk: Buffer): OriginatorFault | undefined {
    if (!this.#finder) return undefined;
    const end = this.#finder.push(chunk);
    if (end === 'too long') return this.#judge(undefined);
    this.#section += end === undefined ? chunk.toString('latin1') : decodeHead(chunk);
    return end === undefined ? undefined : this.#judge(this.#section.slice(0, end));
  }

  /** A message may end within its header section. */
  end(): OriginatorFault | undefined {
    return this.#finder ? this.#judge(this.#section) : undefined;
  }

  #judge(section: string | undefined): OriginatorFault | undefined {
    this.#finder = undefined;
    this.#section = '';
    return section === undefined ? { kind: 'unreadable header' } : judgeOriginators(section, this.#allows);
  }
}

export function judgeOriginators(
  section: string,
  allows: (address: string) => boolean,
): OriginatorFault | undefined {
  const { fields, rest } = parseFields(section);
  // Some readers go on after a line that is no field, and would find another From there.
  if (rest !== '' && !rest.startsWith('\r\n')) return { kind: 'unreadable header' };
  const originators = fields.filter(({ name }) => ORIGINATORS.has(name));
  if (!originators.some(({ name }) => name === 'from')) return { kind: 'no From' };
  for (const [index, field] of originators.entries()) {
    const isAgain = ONCE.has(field.name) && originators.findIndex(({ name }) => name === field.name) < index;
    const fault = isAgain ? ({ kind: 'several', field: show(field) } as const) : judgeField(field, allows);
    if (fault) return fault;
  }
  return undefined;
}

function judgeField(field: Field, allows: (address: string) => boolean): OriginatorFault | undefined {
  const mailboxes = parseMailboxes(field.text, field.text.indexOf(':') + 1);
  if (!mailboxes) return { kind: 'unreadable', field: show(field) };
  for (const { local, domain } of mailboxes) {
    const address = Buffer.from(`${local}@${domain}`, 'latin1').toString();
    if (ENCODED_WORD.test(address)) return { kind: 'unreadable', field: show(field) };
    if (!allows(address)) return { kind: 'not allowed', field: show(field), address };
  }
  return undefined;
}

function show({ name }: Field): string {
  return ORIGINATORS.get(name) ?? name;
}
