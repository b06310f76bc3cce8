/**
 * The changes of a relay to the header of a submitted message: it adds a missing Date and Message-ID (RFC 6409 sections
 * 8.2 and 8.3), removes Bcc, and masquerades senders. No other byte changes, and nothing here fails. In a section that
 * is too long, senders stay unchanged. Text that is no header section passes too. Pure: clock and randomness are
 * arguments.
 */
import { LongSection } from './longsection.ts';
import { masqueradedField } from './masquerade.ts';
import { parseFields, SectionFinder } from './section.ts';

export interface HeaderWork {
  /** The message is submitted: a missing Date and Message-ID is added, and Bcc is removed. */
  readonly addMissing: boolean;
  /** Domains whose sub-domains are hidden in sender fields. ASCII, as in DNS. */
  readonly masqueradeDomains: readonly string[];
  /** The part after the @ of a Message-ID. */
  readonly hostname: string;
}

/**
 * Edits a message as a stream. It keeps the header section, at most SECTION_BYTES and one chunk. The body passes
 * through.
 */
export class HeaderEditor {
  readonly #work: HeaderWork;
  readonly #messageId: () => string;
  readonly #date: () => Date;
  /** Undefined as soon as everything passes. */
  #finder: SectionFinder | undefined;
  #held: Buffer[] = [];
  #long: LongSection | undefined;

  /** `messageId` returns the part before the @: unique, and a dot-atom. */
  constructor(work: HeaderWork, messageId: () => string, date: () => Date) {
    this.#work = work;
    this.#messageId = messageId;
    this.#date = date;
    const isNeeded = work.addMissing || work.masqueradeDomains.length > 0;
    this.#finder = isNeeded ? new SectionFinder() : undefined;
  }

  /** Returns the bytes that may pass now. A chunk without changes is returned itself. */
  push(chunk: Buffer): Buffer[] {
    if (this.#long) return this.#long.push(chunk);
    if (!this.#finder) return [chunk];
    const end = this.#finder.push(chunk);
    this.#held.push(chunk);
    if (end === undefined) return [];
    return end === 'too long' ? this.#passLong() : this.#edited(end);
  }

  /** Returns the bytes that are still held at the end of the message. A message may end within its header section. */
  end(): Buffer[] {
    if (this.#long) return this.#long.end();
    return this.#finder ? this.#edited(Number.POSITIVE_INFINITY) : [];
  }

  #passLong(): Buffer[] {
    const held = this.#release();
    if (!this.#work.addMissing) return held;
    const long = new LongSection({
      missing: (has) => this.#missing(has),
      isHidden: (name) => this.#isHidden(name),
    });
    this.#long = long;
    return held.flatMap((chunk) => long.push(chunk));
  }

  #release(): Buffer[] {
    const held = this.#held;
    this.#held = [];
    this.#finder = undefined;
    return held;
  }

  /** `end` lies in the last chunk or after it. */
  #edited(end: number): Buffer[] {
    const held = this.#release();
    const before = held.length === 1 && held[0] ? held[0] : Buffer.concat(held);
    const section = before.toString('latin1', 0, Math.min(end, before.length));
    const edited = this.#edit(section);
    if (edited === section) return held;
    const last = held.at(-1);
    const body = last?.subarray(last.length - Math.max(0, before.length - end));
    return [Buffer.from(edited, 'latin1'), ...(body?.length ? [body] : [])];
  }

  #edit(section: string): string {
    const { fields, rest } = parseFields(section);
    const shown = fields.filter(({ name }) => !this.#isHidden(name));
    const texts = shown.map((field) => masqueradedField(field, this.#work.masqueradeDomains));
    const endsInOrder = rest === '' || rest.startsWith('\r\n');
    // After a line that is no field, readers disagree whether header or body follows, so nothing can be added there.
    const added =
      this.#work.addMissing && endsInOrder
        ? this.#missing((name) => fields.some((field) => field.name === name))
        : '';
    const isCutShort = added !== '' && shown.length > 0 && !shown.at(-1)?.text.endsWith('\r\n');
    return `${texts.join('')}${isCutShort ? '\r\n' : ''}${added}${rest}`;
  }

  /** Recipients that other recipients must not see, in a submitted message (RFC 5322 section 3.6.3). */
  #isHidden(name: string): boolean {
    return this.#work.addMissing && (name === 'bcc' || name === 'resent-bcc');
  }

  #missing(has: (name: string) => boolean): string {
    const date = has('date') ? '' : `Date: ${rfc5322Date(this.#date())}\r\n`;
    const id = has('message-id') ? '' : `Message-ID: <${this.#messageId()}@${this.#work.hostname}>\r\n`;
    return date + id;
  }
}

/** RFC 5322 section 3.3. */
function rfc5322Date(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}
