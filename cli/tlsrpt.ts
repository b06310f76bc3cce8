/**
 * `mailrelay tlsrpt`: prints TLS reports (RFC 8460) in plain words: one from a file or from standard input, packed or
 * not, or those that a relay has received. A report that is not right in every field is refused with the reason.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFileError } from '#crds/systemwords.ts';
import { parseReceived, RECEIVED_FILE, type ReceivedReport } from '#relay/tlsrpt/received.ts';
import { readReport } from '#relay/tlsrpt/report.ts';
import { nameInput, readWhole } from './inputfile.ts';
import { print } from './output.ts';
import { stateFolder } from './statefolder.ts';
import { paintNames } from './styles.ts';
import { describeReceived, describeReport, describeWideReports } from './tlsrpttext.ts';
import { cannotBe } from './usage.ts';
import type { Format } from './verb.ts';

/** The reader refuses larger reports, and says so. */
const MOST_BYTES = 17 * 1024 * 1024;

interface TlsrptOptions {
  readonly output: Format;
  readonly state?: string;
}

export async function tlsrpt(file: string, { output, state }: TlsrptOptions): Promise<number> {
  if (file === 'received') {
    const reports = await readReceivedReports(stateFolder(state));
    await print(output, reports, () =>
      output === 'wide' ? describeWideReports(reports) : paintNames(describeReceived(reports)),
    );
    return 0;
  }
  if (output === 'wide') throw cannotBe('--output', output, 'only "tlsrpt received" lists reports');
  const read = readReport(await readWhole(file, MOST_BYTES));
  if (read.kind === 'invalid') throw new Error(`Cannot read the report "${nameInput(file)}": ${read.reason}`);
  await print(output, read.report, () => paintNames(describeReport(read.report)));
  return 0;
}

/** The latest first. */
async function readReceivedReports(folder: string): Promise<readonly ReceivedReport[]> {
  const path = join(folder, RECEIVED_FILE);
  try {
    return parseReceived(await readFile(path, 'utf8')).reports.toReversed();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw describeFileError('read', path, error);
  }
}
