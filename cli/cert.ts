/**
 * `mailrelay cert`: judges a certificate and its key as a relay does before it serves them, so that a pair can be tried
 * before it goes into a Secret. The exit status is 1 if a relay would refuse the pair or warn about it. Never prints a
 * key.
 */
import { readFileSync } from 'node:fs';
import { judgePair } from '#crds/keypair.ts';
import { describeCertificate } from './statustext.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay cert --cert FILE --key FILE [--hostname NAME]... [-o json]

Judges a certificate and its private key (PEM) as a relay does: whether they belong together, until when the certificate
is valid, and whether it names the hosts. Exit status 1 when anything is wrong.

      --cert FILE       tls.crt of the Secret, the chain behind the certificate
      --key FILE        tls.key of the Secret
      --hostname NAME   spec.hostname; can be repeated
  -o, --output json     machine-readable
`;

export async function cert(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      cert: { type: 'string' },
      key: { type: 'string' },
      hostname: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', short: 'o', default: 'text' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { cert: certFile, key: keyFile, hostname, output } = parsed.values;
  if (certFile === undefined || keyFile === undefined)
    throw new UsageError('Name both files: mailrelay cert --cert FILE --key FILE');
  const isJson = outputOption(output) === 'json';
  const now = new Date();
  const judged = judgePair(readText(certFile), readText(keyFile), hostname, now);
  const facts = judged.kind === 'usable' ? judged.facts : null;
  const problem = judged.kind === 'usable' ? judged.warning : judged;
  const lines = describeCertificate('certificate', facts, problem, now.getTime());
  process.stdout.write(isJson ? `${JSON.stringify(judged, null, 2)}\n` : `${lines.join('\n')}\n`);
  return problem === null ? 0 : 1;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`Cannot read "${file}": ${(error as NodeJS.ErrnoException).code}`);
  }
}
