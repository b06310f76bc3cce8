/**
 * `mailrelay trace`: prints the lines of the SMTP trace in the log of a relay, without its JSON lines. Reads standard
 * input or a file to the end. Without any input it says how to turn the trace on.
 */
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { describeFileError } from '#crds/systemwords.ts';
import { UsageError } from './usage.ts';

interface TraceOptions {
  readonly file?: string;
  readonly session?: string;
  readonly peer?: string;
}

/** A line has a time, the session in brackets, then the peer; or a count of bytes, with the peer at the end. */
const LINE =
  /^\d{4}-\d\d-\d\dT[\d:.]+Z \[(?<session>[^\]\s]+)\] (?:(?:Sent|Received) \d+ bytes (?:to|from) (?<counted>\S+)$|(?<peer>\S+) )/;

export async function trace({ file, session, peer }: TraceOptions): Promise<number> {
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError(
      'Give it a log: kubectl logs POD | mailrelay trace, or see "mailrelay trace --help"',
    );
  const input: Readable = file === undefined ? process.stdin : await openLog(file);
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

async function openLog(file: string): Promise<Readable> {
  try {
    return (await open(file)).createReadStream();
  } catch (error) {
    throw describeFileError('read', file, error);
  }
}
