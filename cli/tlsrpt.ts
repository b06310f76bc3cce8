/**
 * `mailrelay tlsrpt`: prints TLS reports (RFC 8460) in plain words: one from a file or from standard input, packed or
 * not, or those that a relay has received. A report that is not right in every field is refused with the reason.
 */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseReceived, RECEIVED_FILE, type ReceivedReport } from '#relay/tlsrpt/received.ts';
import { readReport } from '#relay/tlsrpt/report.ts';
import { stateFolder } from './statefolder.ts';
import { describeReceived, describeReport } from './tlsrpttext.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay tlsrpt FILE [-o json]
       mailrelay tlsrpt received [--state DIR] [-o json]

Prints a TLS report that another mail system has sent (RFC 8460): how many of its sessions to your hosts were encrypted,
and why the others were not. FILE is the attachment of the report (.json.gz, or .json); "-" is standard input.
received: the reports that a relay has received at inbound.tlsReports.address, the latest first. (A file of this name is
./received.)

  -o, --output json     the reports, unpacked and checked
      --state DIR       state folder of the relay   (that of the pod, or the one below .state)

In a pod: kubectl exec POD -- mailrelay tlsrpt received
`;

/** The reader refuses larger reports, and says so. */
const MOST_BYTES = 17 * 1024 * 1024;

export async function tlsrpt(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    { output: { type: 'string', short: 'o', default: 'text' }, state: { type: 'string' } },
    HELP,
  );
  if (!parsed) return 0;
  const [file, ...more] = parsed.positionals;
  if (file === undefined || more.length > 0)
    throw new UsageError('Name one file: mailrelay tlsrpt FILE, or see --help');
  const isJson = outputOption(parsed.values.output) === 'json';
  if (file === 'received') {
    const reports = await readReceivedReports(stateFolder(parsed.values.state));
    process.stdout.write(isJson ? `${JSON.stringify(reports, null, 2)}\n` : describeReceived(reports));
    return 0;
  }
  const read = readReport(await readBytes(file));
  if (read.kind === 'invalid') throw new Error(`Cannot read the report "${file}": ${read.reason}`);
  process.stdout.write(isJson ? `${JSON.stringify(read.report, null, 2)}\n` : describeReport(read.report));
  return 0;
}

/** The latest first. */
async function readReceivedReports(folder: string): Promise<readonly ReceivedReport[]> {
  const path = join(folder, RECEIVED_FILE);
  try {
    return parseReceived(await readFile(path, 'utf8')).reports.toReversed();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new Error(`Cannot read "${path}": ${code ?? message}`);
  }
}

async function readBytes(file: string): Promise<Buffer> {
  const handle = file === '-' ? undefined : await openFile(file);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of handle?.createReadStream() ?? process.stdin) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MOST_BYTES) break;
    }
  } catch (error) {
    throw cannotRead(file, error);
  }
  return Buffer.concat(chunks);
}

async function openFile(file: string) {
  try {
    return await open(file);
  } catch (error) {
    throw cannotRead(file, error);
  }
}

function cannotRead(file: string, error: unknown): Error {
  return new Error(`Cannot read "${file}": ${(error as NodeJS.ErrnoException).code}`);
}
