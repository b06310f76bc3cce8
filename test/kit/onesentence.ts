/** What a command says on an error: one clear sentence on standard error, without a stack trace. */
import assert from 'node:assert/strict';
import type { Ended } from './relay.ts';

/** Lines of the log do not count. `words`: parts of the sentence. */
export function assertOneSentence(
  { status, stdout, stderr }: Ended,
  expected: number,
  ...words: string[]
): void {
  const lines = stderr
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('{'));
  assert.equal(status, expected, `${stdout}${stderr}`);
  assert.equal(lines.length, 1, stderr);
  assert.ok(!/\n\s+at |node:internal/.test(stderr), stderr);
  for (const word of words) assert.ok(lines[0]?.includes(word), `"${word}" is not in: ${lines[0]}`);
}
