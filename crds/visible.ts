/** What strangers wrote, for people to read. Pure. */
import { cutText } from './cut.ts';

/**
 * Controls, which a terminal obeys, ends of lines, and the marks that turn the direction of a text, which make it read as
 * another one.
 */
const UNSEEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
/** Those of them that JSON leaves as they are. */
const UNSEEN_IN_JSON = /[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu;

const LONGEST_NAME = 255;

/** Each of them becomes a question mark. */
export function visible(text: string): string {
  return text.replace(UNSEEN, '?');
}

/** The same of a text whose ends of lines and tabs are ours. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN, (one) => (one === '\n' || one === '\t' ? one : '?'));
}

/** A name that a stranger has given itself. */
export function visibleName(text: string): string {
  return visible(cutText(text, LONGEST_NAME));
}

/** Of a text in JSON, or of YAML whose texts are in double quotes: each of them becomes its escape, which says the same. */
export function escapeUnseen(json: string): string {
  return json.replace(UNSEEN_IN_JSON, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
