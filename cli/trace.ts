/**
 * `mailrelay trace`: prints the lines of the SMTP trace in the log of a relay, without its JSON lines. Reads standard
 * input or a file to the end. Without any input it says how to turn the trace on.
 */
import { isIP } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { readPieces } from './inputfile.ts';
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
  refuseUnknowable({ session, peer });
  const input = file === undefined ? process.stdin : Readable.from(readPieces(file));
  for await (const line of createInterface({ input }))
    if (isTraceLine(line, { session, peer })) process.stdout.write(`${line}\n`);
  return 0;
}

/** What no line of a trace can have. The peer is an address, also where it is a next hop. */
export function refuseUnknowable({ session, peer }: TraceFilter): void {
  if (peer !== undefined && isIP(peer) === 0)
    throw new UsageError(`Option --peer "${peer}" is no IP address: write it as 192.0.2.7 or 2001:db8::7`);
  if (session !== undefined && !/^[^\]\s]+$/.test(session))
    throw new UsageError(`Option --session "${session}" is no id: write what stands in brackets in a trace`);
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
