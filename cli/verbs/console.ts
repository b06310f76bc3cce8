/** The verb `console`. */
import { parsePort } from '../usage.ts';
import { stateOption, Verb } from '../verb.ts';

export const verb = new Verb('console')
  .summary('a page that shows a running relay, in a browser on this machine')
  .description(
    'Serves a page on the loopback address and prints its address, which works once. The page shows the relay, its certificate, what it refuses, its queue, the story of each message, and plots of the last hour. It changes nothing without --allow-changes. Ctrl-C ends it; the relay goes on.',
  )
  .addOption(stateOption())
  .option('--port <port>', 'port of the page on 127.0.0.1 (default: a free one)', parsePort)
  .option('--allow-changes', 'let the page hold, release, retry and remove messages')
  .example('console', 'Look at the relay of "mailrelay run"')
  .does(async () => (await import('../console/serve.ts')).serveConsole);
