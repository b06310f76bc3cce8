/** Asks a person at the terminal before something is lost; without a terminal the caller must have been told. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from './usage.ts';

export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UsageError(`${question} Nobody can be asked here: add --yes`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
