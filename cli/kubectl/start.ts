/** Starts `kubectl mailrelay`. */
import { runProgram } from '../entry.ts';
import type { Verb } from '../verb.ts';
import { verb as version } from '../verbs/version.ts';
import { takeGlobals } from './globals.ts';
import { buildPlugin } from './program.ts';

export async function startPlugin(argv: readonly string[]): Promise<void> {
  await runProgram('kubectl mailrelay', argv, async (given) => {
    const { globals, words } = takeGlobals(given);
    const program = buildPlugin(globals);
    program.addCommand(version);
    return { program, words };
  });
}

export async function completePlugin(argv: readonly string[], pods: Verb): Promise<void> {
  const { printCompletion } = await import('./complete.ts');
  printCompletion(argv, pods);
}
