/**
 * `mailrelay trace`: prints the lines of the SMTP trace in the log of a relay, without its JSON lines. Reads standard
 * input or a file to the end. Without any input it says how to turn the trace on.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { options, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay trace [--session ID] [--peer ADDRESS] [-f FILE]

Prints the lines of the SMTP trace in the log of a relay, each as it arrives, and no other lines of the log:

  kubectl logs -f POD | mailrelay trace
  mailrelay run -f relay.yaml 2>relay.log, then: mailrelay trace -f relay.log

The MailRelay turns the trace on. No pod restarts, and the trace ends at the time "until":

  spec:
    trace: {level: 3, networks: [192.0.2.0/24], until: "2030-01-31T18:00:00Z"}

  -f, --file FILE      a log to read                       (standard input)
      --session ID     only the session of this id
      --peer ADDRESS   only sessions with this client, or next hop
`;

/** A line has a time, the session in brackets, then the peer; or a count of bytes, with the peer at the end. */
const LINE =
  /^\d{4}-\d\d-\d\dT[\d:.]+Z \[(?<session>[^\]\s]+)\] (?:(?:Sent|Received) \d+ bytes (?:to|from) (?<counted>\S+)$|(?<peer>\S+) )/;

export async function trace(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      file: { type: 'string', short: 'f' },
      session: { type: 'string' },
      peer: { type: 'string' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { file, session, peer } = parsed.values;
  const [stray] = parsed.positionals;
  if (stray !== undefined) throw new UsageError(`"${stray}" is not an option of trace: see --help`);
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError('Give it a log: kubectl logs POD | mailrelay trace, or see --help');
  const input: Readable = file === undefined ? process.stdin : createReadStream(file);
  for await (const line of createInterface({ input })) {
    const { groups } = LINE.exec(line) ?? {};
    if (!groups) continue;
    const isWanted =
      (session === undefined || session === groups['session']) &&
      (peer === undefined || peer === (groups['peer'] ?? groups['counted']));
    if (isWanted) process.stdout.write(`${line}\n`);
  }
  return 0;
}
