/**
 * Fields Authentication-Results that claim to be ours: readers trust them, so no message may bring one (RFC 8601
 * section 5). Pure.
 */
import type { HeaderStep } from './header.ts';

const NAME = 'authentication-results';
/** A quoted pair, a comment in a comment and a control character. Readers differ about them. */
const UNCLEAR = /[\\()]|[^\t\r\n -~\x80-\xff]/;
const COMMENT = /\([^()\\]*\)/g;

/** A field whose id cannot be read might be read as ours, and so might any in a section that is too long. */
export function hidesResultsOf(id: string): NonNullable<HeaderStep['hides']> {
  const ours = id.toLowerCase();
  return (name, text) => {
    if (name !== NAME) return false;
    const ids = text === undefined ? [''] : readIds(text);
    return ids.some((id) => id === '' || id.toLowerCase() === ours);
  };
}

/** The ids that readers may find: a comment is a blank, or nothing. Empty: it cannot be read. */
function readIds(text: string): readonly string[] {
  const end = text.indexOf(';');
  const head = text.slice(text.indexOf(':') + 1, end === -1 ? text.length : end);
  return [' ', ''].map((blank) => {
    const bare = head.replace(COMMENT, blank).replace(/^[ \t\r\n]+/, '');
    return UNCLEAR.test(bare) ? '' : (bare.split(/[ \t\r\n/]/, 1)[0] ?? '').replaceAll('"', '');
  });
}
