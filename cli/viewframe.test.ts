/** A frame on a small stand-in for a terminal that does not wrap: what was there is gone, and all that is drawn is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { drawFrame } from './viewframe.ts';

interface Size {
  readonly columns: number;
  readonly rows: number;
}

function obey(screen: string[][], text: string, { columns, rows }: Size): void {
  let [row, column] = [0, 0];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal gets
  for (const [token] of text.matchAll(/\x1b\[[HKJ]|[\s\S]/g)) {
    const line = screen[row] ?? [];
    if (token === '\x1b[H') [row, column] = [0, 0];
    else if (token === '\x1b[K') line.fill(' ', column);
    else if (token === '\x1b[J') {
      line.fill(' ', column);
      for (const below of screen.slice(row + 1)) below.fill(' ');
    } else if (token === '\n') [row, column] = [Math.min(row + 1, rows - 1), 0];
    else {
      line[column] = token;
      // Without wrapping the cursor stays on the last character.
      column = Math.min(column + 1, columns - 1);
    }
  }
}

test('the terminal shows the lines of the frame, each to its last character, and nothing else', () => {
  const size = fc.record({ columns: fc.integer({ min: 1, max: 12 }), rows: fc.integer({ min: 1, max: 6 }) });
  const texts = fc.array(fc.stringMatching(/^[a-z]{0,12}$/), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(size, texts, (of, wanted) => {
      const screen = Array.from({ length: of.rows }, () => Array<string>(of.columns).fill('#'));
      const lines = wanted.slice(0, of.rows).map((line) => line.slice(0, of.columns));
      obey(screen, drawFrame(lines, of.rows), of);
      const shown = Array.from({ length: of.rows }, (_, row) => (lines[row] ?? '').padEnd(of.columns));
      assert.deepEqual(
        screen.map((line) => line.join('')),
        shown,
      );
    }),
  );
});
