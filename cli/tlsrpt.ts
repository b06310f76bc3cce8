/**
 * `mailrelay tlsrpt`: prints a TLS report (RFC 8460) in plain words, packed or not, from a file or from standard input.
 * A report that is not right in every field is refused with the reason.
 */
import { open } from 'node:fs/promises';
import { readReport } from '#relay/tlsrpt/report.ts';
import { describeReport } from './tlsrpttext.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay tlsrpt FILE [-o json]

Prints a TLS report that another mail system has sent (RFC 8460): how many of its sessions to your hosts were encrypted,
and why the others were not. FILE is the attachment of the report (.json.gz, or .json); "-" is standard input.

  -o, --output json     the report, unpacked and checked
`;

/** The reader refuses larger reports, and says so. */
const MOST_BYTES = 17 * 1024 * 1024;

export async function tlsrpt(argv: string[]): Promise<number> {
  const parsed = options(argv, { output: { type: 'string', short: 'o', default: 'text' } }, HELP);
  if (!parsed) return 0;
  const [file, ...more] = parsed.positionals;
  if (file === undefined || more.length > 0)
    throw new UsageError('Name one file: mailrelay tlsrpt FILE, or see --help');
  const isJson = outputOption(parsed.values.output) === 'json';
  const read = readReport(await readBytes(file));
  if (read.kind === 'invalid') throw new Error(`Cannot read the report "${file}": ${read.reason}`);
  process.stdout.write(isJson ? `${JSON.stringify(read.report, null, 2)}\n` : describeReport(read.report));
  return 0;
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
