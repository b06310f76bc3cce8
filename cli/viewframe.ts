/** The text that draws lines on a terminal that does not wrap, over what it shows. Pure. */

const TOP = '\x1b[H';
const ERASE_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

/**
 * Erases each line before it is written: behind a line that is as wide as the terminal, the cursor stands on the last
 * character, which would be erased.
 */
export function drawFrame(lines: readonly string[], rows: number): string {
  const drawn = TOP + lines.map((line) => ERASE_LINE + line).join('\n');
  return lines.length < rows ? `${drawn}\n${ERASE_BELOW}` : drawn;
}
