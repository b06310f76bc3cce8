/** The field Authentication-Results, ours and those of others (RFC 8601 sections 2.2 and 5). Pure. */
import type { HeaderStep } from '../headers/header.ts';
import type { Field } from '../headers/section.ts';

const NAME = 'authentication-results';
const FIELD = /^Authentication-Results:.*\r\n(?:[ \t].*\r\n)*/im;
const MOST_CHARACTERS = 16_384;
/** Comments and blanks may come first. */
const ID = /^[^:]*:(?:[ \t\r\n]|\([^()]*\))*"?([^\s;"(/]+)/;

/**
 * Puts the results before the message, and removes fields of our id. `results`: header fields, with ours among them;
 * undefined: nothing was verified. In a header that is too long to be edited, all such fields go.
 */
export function makeStep(id: string, results: string | undefined, isEditable: boolean): HeaderStep {
  const found = results === undefined ? undefined : FIELD.exec(results)?.[0];
  const text = found === undefined || found.length > MOST_CHARACTERS ? renderNone(id) : found;
  const shown = text.replace(/[^\t\r\n -~]/g, '?');
  const front = () => shown;
  return isEditable
    ? { front, edits: (field) => (isOurs(field, id) ? '' : field.text) }
    : { front, hides: (name) => name === NAME };
}

function renderNone(id: string): string {
  return `Authentication-Results: ${id}; none\r\n`;
}

/** A field whose id cannot be read might be read as ours. */
function isOurs({ name, text }: Field, id: string): boolean {
  if (name !== NAME) return false;
  const found = ID.exec(text)?.[1];
  return found === undefined || found.toLowerCase() === id.toLowerCase();
}
