/**
 * `mailrelay trace`: prints the lines of the SMTP trace in the log of a relay, without its JSON lines. Reads standard
 * input or a file to the end. Without any input it says how to turn the trace on.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { readPieces } from './inputfile.ts';
import { visible } from './terminal.ts';
import { UsageError } from './usage.ts';

export interface TraceFilter {
  readonly session?: string | undefined;
  readonly peer?: string | undefined;
}

interface TraceOptions extends TraceFilter {
  readonly file?: string;
}

/** A line has a time, the session in brackets, then the peer; or a count of bytes, with the peer at the end. */
const LINE =
  /^\d{4}-\d\d-\d\dT[\d:.]+Z \[(?<session>[^\]\s]+)\] (?:(?:Sent|Received) \d+ bytes (?:to|from) (?<counted>\S+)$|(?<peer>\S+) )/;

export async function trace({ file, session, peer }: TraceOptions): Promise<number> {
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError(
      'Give it a log: kubectl logs POD | mailrelay trace, or see "mailrelay trace --help"',
    );
  const input = file === undefined ? process.stdin : Readable.from(readPieces(file));
  const lines = createInterface({ input });
  // A log that is followed has no end, and nobody reads on.
  process.stdout.once('error', () => {
    lines.close();
    input.destroy();
  });
  let isEmpty = true;
  for await (const line of lines) {
    if (!isTraceLine(line, { session, peer })) continue;
    isEmpty = false;
    process.stdout.write(`${visible(line)}\n`);
  }
  if (isEmpty) process.stderr.write(describeNone({ session, peer }));
  return 0;
}

/** To standard error, because a program reads only lines of a trace. */
export function describeNone({ session, peer }: TraceFilter): string {
  return session === undefined && peer === undefined
    ? 'There is no line of a trace: the MailRelay turns it on, see "mailrelay trace --help".\n'
    : 'There is no line of such a session.\n';
}

/** True for a line of the trace that the filter wants. */
export function isTraceLine(line: string, { session, peer }: TraceFilter): boolean {
  const { groups } = LINE.exec(line) ?? {};
  if (!groups) return false;
  return (
    (session === undefined || session === groups['session']) &&
    (peer === undefined || peer === (groups['peer'] ?? groups['counted']))
  );
}
