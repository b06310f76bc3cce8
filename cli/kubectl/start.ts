/** Starts `kubectl mailrelay`. */
import { runProgram } from '../entry.ts';
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
