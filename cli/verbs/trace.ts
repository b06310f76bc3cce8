/** The verb `trace`. */
import { once, parsePeer, parseSession } from '../usage.ts';
import { Verb } from '../verb.ts';

export const verb = new Verb('trace')
  .summary('pick the SMTP trace out of the log of a relay')
  .description(`Prints the lines of the SMTP trace in the log of a relay, each as it arrives, and no other lines of the log.

The MailRelay turns the trace on. No pod restarts, and the trace ends at the time "until":
  spec:
    trace: {level: 3, networks: [192.0.2.0/24], until: "2030-01-31T18:00:00Z"}`)
  .option('-f, --file <file>', 'a log to read (default: standard input)', once())
  .option('--session <id>', 'only the session of this id', once(parseSession))
  .option('--peer <address>', 'only sessions with this client, or next hop', once(parsePeer))
  .example('trace -f relay.log --peer 192.0.2.7', 'The sessions of one client')
  .does(async () => (await import('../trace.ts')).trace);
