/**
 * Prints the conversation of a session as it goes on, each line with the milliseconds since the begin. The library puts
 * a word in the place of passwords and tokens.
 */
import { visible } from './terminal.ts';

type Level = (entry: { readonly tnx?: string }, message: unknown) => void;

/** A logger as nodemailer takes it. */
export function makeStepPrinter(print: (line: string) => void): Readonly<Record<string, Level>> {
  const begun = performance.now();
  const say = (mark: string, text: unknown) => {
    const stamp = `+${Math.round(performance.now() - begun)} ms`.padStart(9);
    for (const line of String(text).split(/\r?\n/)) print(`${stamp} ${mark} ${visible(line)}\n`);
  };
  const debug: Level = ({ tnx }, message) => {
    if (tnx === 'client') say('C:', message);
    else if (tnx === 'server') say('S:', message);
  };
  const info: Level = ({ tnx }, message) => {
    if (tnx === 'network' || tnx === 'smtp') say('--', message);
  };
  const quiet: Level = () => undefined;
  return { trace: quiet, debug, info: quiet, warn: info, error: quiet, fatal: quiet };
}
