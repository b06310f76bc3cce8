/**
 * Runs the header steps (steps.ts) over a message as a stream. The header section is held, at most SECTION_BYTES and one
 * chunk, and the body passes through. No byte changes that no step changes, and nothing here fails. In a section that is
 * too long fields are removed and added, but not edited. Pure.
 *
 * Readers disagree whether header or body follows a line that is no field. Here it ends the header. Fields that nobody may
 * see are removed behind it too, up to the empty line of the client, who may have meant them as header. Where a step
 * repairs, an empty line goes before it, as in Postfix, and ends the header for every reader. That breaks signatures, so
 * elsewhere only a first line gets it, which would go on with our Received field.
 */
import { FirstLine } from './firstline.ts';
import { LongSection } from './longsection.ts';
import type { Trace } from './received.ts';
import { type Field, parseFields, parseRest, SectionFinder } from './section.ts';

/** What a step does to a header. */
export interface HeaderStep {
  /**
   * True: the field is removed. The name is in lower case. The text is that of the whole field; undefined in a section that
   * is too long.
   */
  readonly hides?: (name: string, text?: string) => boolean;
  /** The new text of a field. */
  readonly edits?: (field: Field) => string;
  /** Text to add behind the fields, or none. */
  readonly adds?: (has: (name: string) => boolean, trace: Trace) => string;
  /** Text to put before the message. */
  readonly front?: (trace: Trace) => string;
  /** A line that is no field gets an empty line before it. */
  readonly repairs?: true;
}

/** What all steps do, in their order. It is the same for all messages of a policy. */
export interface HeaderSteps {
  readonly hides: readonly NonNullable<HeaderStep['hides']>[];
  readonly edits: readonly NonNullable<HeaderStep['edits']>[];
  readonly adds: readonly NonNullable<HeaderStep['adds']>[];
  readonly front: readonly NonNullable<HeaderStep['front']>[];
  readonly repairs: boolean;
}

/** Steps that come before all others of a message. */
export function prependStep(
  step: HeaderStep,
  { hides, edits, adds, front, repairs }: HeaderSteps,
): HeaderSteps {
  const first = joinSteps([step]);
  return {
    hides: [...first.hides, ...hides],
    edits: [...first.edits, ...edits],
    adds: [...first.adds, ...adds],
    // Our Received field is the topmost.
    front: [...front, ...first.front],
    repairs: first.repairs || repairs,
  };
}

export function joinSteps(steps: readonly HeaderStep[]): HeaderSteps {
  return {
    hides: steps.flatMap(({ hides }) => hides ?? []),
    edits: steps.flatMap(({ edits }) => edits ?? []),
    adds: steps.flatMap(({ adds }) => adds ?? []),
    front: steps.flatMap(({ front }) => front ?? []),
    repairs: steps.some(({ repairs }) => repairs),
  };
}

export class HeaderEditor {
  readonly #steps: HeaderSteps;
  readonly #trace: Trace;
  readonly #first: FirstLine;
  /** Undefined as soon as everything passes. */
  #finder: SectionFinder | undefined;
  #held: Buffer[] = [];
  #long: LongSection | undefined;

  constructor(steps: HeaderSteps, trace: Trace) {
    this.#steps = steps;
    this.#trace = trace;
    const isNeeded = steps.repairs || steps.hides.length + steps.edits.length + steps.adds.length > 0;
    this.#finder = isNeeded ? new SectionFinder() : undefined;
    this.#first = new FirstLine(isNeeded ? '' : '\r\n');
  }

  /** Returns the bytes that may pass now. A chunk without changes is returned itself. */
  push(chunk: Buffer): Buffer[] {
    return this.#first.push(chunk).flatMap((part) => this.#take(part));
  }

  /** Returns the bytes that are still held at the end of the message. A message may end within its header section. */
  end(): Buffer[] {
    const last = this.#first.end().flatMap((part) => this.#take(part));
    if (this.#long) return [...last, ...this.#long.end()];
    return this.#finder ? [...last, ...this.#edited(Number.POSITIVE_INFINITY)] : last;
  }

  #take(chunk: Buffer): Buffer[] {
    if (this.#long) return this.#long.push(chunk);
    if (!this.#finder) return [chunk];
    const end = this.#finder.push(chunk);
    this.#held.push(chunk);
    if (end === undefined) return [];
    return end === 'too long' ? this.#passLong() : this.#edited(end);
  }

  #passLong(): Buffer[] {
    const held = this.#release();
    const long = new LongSection({
      gap: (isFirst) => this.#gap(isFirst),
      added: (has) => this.#added(has),
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
    const shown = fields.filter(({ name, text }) => !this.#isHidden(name, text));
    const texts = shown.map((field) => this.#editField(field));
    const added = this.#added((name) => shown.some((field) => field.name === name));
    const isCutShort = added !== '' && shown.length > 0 && !shown.at(-1)?.text.endsWith('\r\n');
    return `${texts.join('')}${isCutShort ? '\r\n' : ''}${added}${this.#part(rest, fields.length === 0)}`;
  }

  #part(rest: string, isFirst: boolean): string {
    if (rest === '' || rest.startsWith('\r\n')) return rest;
    const { lines, end } = parseRest(rest);
    const shown = lines.filter(({ name, text }) => name === undefined || !this.#isHidden(name, text));
    return `${this.#gap(isFirst)}${shown.map(({ text }) => text).join('')}${end}`;
  }

  /** What goes before a line that is no field. */
  #gap(isFirst: boolean): '' | '\r\n' {
    return isFirst || this.#steps.repairs ? '\r\n' : '';
  }

  #editField(field: Field): string {
    let { text } = field;
    for (const edit of this.#steps.edits) text = edit({ ...field, text });
    return text;
  }

  #isHidden(name: string, text?: string): boolean {
    return this.#steps.hides.some((hides) => hides(name, text));
  }

  #added(has: (name: string) => boolean): string {
    return this.#steps.adds.map((adds) => adds(has, this.#trace)).join('');
  }
}
