/**
 * Asks a person at the terminal before an action that cannot be undone. Without a terminal the person must give --yes.
 */
import { createInterface } from 'node:readline/promises';
import { UsageError } from './usage.ts';

export function assertCanAsk(question: string): void {
  if (!process.stdin.isTTY) throw new UsageError(`${question} Nobody can be asked here: add --yes`);
}

/** Ctrl-C and Ctrl-D are a no. */
export async function confirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    return false;
  } finally {
    lines.close();
  }
}
