/** The field Authentication-Results (RFC 8601 section 2.2). Pure. */
import type { HeaderStep } from '../headers/header.ts';
import { hidesResultsOf } from '../headers/ownresults.ts';

const FIELD = /^Authentication-Results:.*\r\n(?:[ \t].*\r\n)*/im;
const MOST_CHARACTERS = 16_384;

/**
 * Puts the results before the message, and removes fields of our id. `results`: header fields, with ours among them;
 * undefined: nothing was verified.
 */
export function makeStep(id: string, results: string | undefined): HeaderStep {
  const found = results === undefined ? undefined : FIELD.exec(results)?.[0];
  const text = found === undefined || found.length > MOST_CHARACTERS ? renderNone(id) : found;
  const shown = inAscii(text);
  return { front: () => shown, hides: hidesResultsOf(id) };
}

/** What a client says of itself must not make a message in ASCII one of eight bits. */
export function inAscii(results: string): string {
  return results.replace(/[^\t\r\n -~]/g, '?');
}

function renderNone(id: string): string {
  return `Authentication-Results: ${id}; none\r\n`;
}
