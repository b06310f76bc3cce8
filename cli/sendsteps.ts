/**
 * Prints the conversation of a session as it goes on, each line with the milliseconds since the begin, and the TLS facts
 * where TLS begins. The library puts a word in the place of passwords and tokens.
 */
import { visible } from './terminal.ts';

type Level = (entry: { readonly tnx?: string }, message: unknown) => void;

/** A logger as nodemailer takes it. `describeTls` has no words while the session is in plain text. */
export function makeStepPrinter(
  print: (line: string) => void,
  describeTls: () => string | undefined,
): Readonly<Record<string, Level>> {
  const begun = performance.now();
  let isTlsTold = false;
  const tellTls = () => {
    const facts = isTlsTold ? undefined : describeTls();
    if (facts === undefined) return;
    isTlsTold = true;
    say('--', facts);
  };
  const say = (mark: string, text: unknown) => {
    const stamp = `+${Math.round(performance.now() - begun)} ms`.padStart(9);
    for (const line of String(text).split(/\r?\n/)) print(`${stamp} ${mark} ${visible(line)}\n`);
  };
  const debug: Level = ({ tnx }, message) => {
    tellTls();
    if (tnx === 'client') say('C:', message);
    else if (tnx === 'server') say('S:', message);
  };
  const info: Level = ({ tnx }, message) => {
    if (tnx === 'network' || tnx === 'smtp') say('--', message);
  };
  const quiet: Level = () => undefined;
  return { trace: quiet, debug, info: quiet, warn: info, error: quiet, fatal: quiet };
}
