/** What strangers wrote, for people to read. Pure. */
import { cutText } from './cut.ts';

/**
 * Controls, which a terminal obeys, ends of lines, and the marks that turn the direction of a text, which make it read as
 * another one.
 */
const UNSEEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

const LONGEST_NAME = 255;

/** Each of them becomes a question mark. */
export function visible(text: string): string {
  return text.replace(UNSEEN, '?');
}

/** A name that a stranger has given itself. */
export function visibleName(text: string): string {
  return visible(cutText(text, LONGEST_NAME));
}
