/**
 * `mailrelay lint`: checks manifests as the API server would, except transition rules, which need the stored object.
 */
import { lintManifests } from './documents.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay lint -f FILE [-o json]

Checks every MailRelay in a file or folder: schema, unknown fields and cross-field rules, as the API server does. What
compares with a stored object (another queue.mode) only the API server can check.
Exit status 1 when something is wrong.

  -f, --file PATH     file or folder of YAML documents
  -o, --output json   machine-readable result
`;

export async function lint(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    { file: { type: 'string', short: 'f' }, output: { type: 'string', short: 'o', default: 'text' } },
    HELP,
  );
  if (!parsed) return 0;
  const { file, output } = parsed.values;
  if (file === undefined) throw new UsageError('Name the manifest: mailrelay lint -f FILE');
  const format = outputOption(output);
  const results = lintManifests(file);
  if (results.length === 0)
    throw new Error(`There is no MailRelay in ${file}: add a document of kind MailRelay`);
  process.stdout.write(
    format === 'json' ? `${JSON.stringify(results, null, 2)}\n` : results.map(describeResult).join(''),
  );
  return results.some(({ faults }) => faults.length > 0) ? 1 : 0;
}

function describeResult({ file, name, faults }: { file: string; name: string; faults: string[] }): string {
  if (faults.length === 0) return `${file}: MailRelay ${name}: ok\n`;
  return faults.map((fault) => `${file}: MailRelay ${name}: ${fault}\n`).join('');
}
