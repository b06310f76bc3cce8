/**
 * Fields Authentication-Results that claim to be ours: readers trust them, so no message may bring one (RFC 8601
 * section 5). Pure.
 */
import type { HeaderStep } from './header.ts';

const NAME = 'authentication-results';
/** Comments and blanks may come first. */
const ID = /^[^:]*:(?:[ \t\r\n]|\([^()]*\))*"?([^\s;"(/]+)/;

/** A field whose id cannot be read might be read as ours, and so might any in a section that is too long. */
export function hidesResultsOf(id: string): NonNullable<HeaderStep['hides']> {
  const ours = id.toLowerCase();
  return (name, text) => {
    if (name !== NAME) return false;
    const found = text === undefined ? undefined : ID.exec(text)?.[1];
    return found === undefined || found.toLowerCase() === ours;
  };
}
