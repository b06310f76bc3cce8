/**
 * The `mailrelay` command. Under the name `kubectl-mailrelay` it is the plugin of kubectl, and under
 * `kubectl_complete-mailrelay` it completes the words of that plugin.
 */
import { basename } from 'node:path';
import { settleColours } from './colours.ts';
import { endAtSignals } from './signals.ts';

const PLUGIN = 'kubectl-mailrelay';
const PLUGIN_COMPLETION = 'kubectl_complete-mailrelay';

endAtSignals();
// Before anything imports node:util, which looks at the environment and warns.
settleColours(process.env);

const name = basename(process.env['MAILRELAY_LAUNCHER'] ?? '');
if (name === PLUGIN_COMPLETION) {
  const [{ printCompletion }, { buildProgram }] = await Promise.all([
    import('./kubectl/complete.ts'),
    import('./program.ts'),
  ]);
  await printCompletion(process.argv.slice(2), await buildProgram());
} else if (name === PLUGIN) {
  const { startPlugin } = await import('./kubectl/start.ts');
  await startPlugin(process.argv.slice(2));
} else {
  const [{ runProgram }, { buildProgram }] = await Promise.all([
    import('./entry.ts'),
    import('./program.ts'),
  ]);
  await runProgram('mailrelay', process.argv.slice(2), async (words) => ({
    program: await buildProgram(words[0]),
    words,
  }));
}
