/** The words by which a person calls this program from any folder: for commands that are printed to be pasted. */
import { realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { quoteWord } from './terminal.ts';

const NAME = 'mailrelay';

export function ownCommand(): string {
  const launcher = process.env['MAILRELAY_LAUNCHER'] ?? process.argv[1] ?? NAME;
  if (basename(launcher) !== NAME) return [process.execPath, launcher].map(quoteWord).join(' ');
  const inPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => resolveLinks(join(dir, NAME)))
    .find((path) => path !== undefined);
  return inPath !== undefined && inPath === resolveLinks(launcher) ? NAME : quoteWord(launcher);
}

/** Undefined if there is no such file. */
function resolveLinks(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
