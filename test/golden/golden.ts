/** Compares a whole artefact with the file that was reviewed; `make golden` writes it anew. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

export function assertGolden(name: string, text: string): void {
  const path = new URL(`files/${name}`, import.meta.url);
  if (process.env['UPDATE_GOLDEN']) writeFileSync(path, text);
  assert.equal(
    text,
    readFileSync(path, 'utf8'),
    `${name} is not as reviewed: look at the difference, then "make golden"`,
  );
}
