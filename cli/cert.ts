/**
 * `mailrelay cert`: judges a certificate and its key as a relay does before it serves them, so that a pair can be tried
 * before it goes into a Secret. With --tlsa it prints the TLSA records of the certificate. The exit status is 1 if a relay would refuse the pair or warn about it. Never prints a
 * key.
 */
import { readFileSync } from 'node:fs';
import { DEFAULT_TTL_SECONDS, type DnsRecord, printRecord, tlsaName, tlsaValue } from '#crds/dnsrecords.ts';
import { judgePair, readCertificateFacts } from '#crds/keypair.ts';
import { describeCertificate } from './statustext.ts';
import { options, outputOption, portOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay cert --cert FILE --key FILE [--hostname NAME]... [-o json]
       mailrelay cert --tlsa --cert FILE [--hostname NAME]... [--port N]... [--ttl SECONDS] [-o json]

Judges a certificate and its private key (PEM) as a relay does: whether they belong together, until when the certificate
is valid, and whether it names the hosts. Exit status 1 when anything is wrong.

      --cert FILE       tls.crt of the Secret, the chain behind the certificate
      --key FILE        tls.key of the Secret
      --hostname NAME   spec.hostname; can be repeated
      --tlsa            print the TLSA records 3 1 1 of the key of the certificate instead, as lines of a zone file;
                        no key is needed. Without --hostname for the names in the certificate
      --port N          port of a TLSA record; can be repeated   (25)
      --ttl SECONDS     time to live of the TLSA records         (3600)
  -o, --output json     machine-readable
`;

export async function cert(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      cert: { type: 'string' },
      key: { type: 'string' },
      hostname: { type: 'string', multiple: true, default: [] },
      tlsa: { type: 'boolean', default: false },
      port: { type: 'string', multiple: true, default: ['25'] },
      ttl: { type: 'string', default: String(DEFAULT_TTL_SECONDS) },
      output: { type: 'string', short: 'o', default: 'text' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { cert: certFile, key: keyFile, hostname, output, tlsa } = parsed.values;
  if (tlsa) return printTlsa(parsed.values);
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

interface TlsaOptions {
  readonly cert?: string;
  readonly hostname: readonly string[];
  readonly port: readonly string[];
  readonly ttl: string;
  readonly output: string;
}

function printTlsa({ cert: file, hostname, port, ttl, output }: TlsaOptions): number {
  if (file === undefined) throw new UsageError('Name the certificate: mailrelay cert --tlsa --cert FILE');
  if (!/^[0-9]{1,9}$/.test(ttl)) throw new UsageError(`--ttl must be a number of seconds, not "${ttl}"`);
  const ports = port.map((text) => portOption('port', text));
  const facts = readCertificateFacts(readText(file));
  if (!facts?.publicKeySha256)
    throw new Error(`"${file}" is not a PEM certificate: name tls.crt of the Secret`);
  const value = tlsaValue(facts.publicKeySha256);
  const hosts = hostname.length > 0 ? hostname : facts.names.filter((name) => !name.startsWith('*.'));
  if (hosts.length === 0) throw new UsageError('The certificate names no host: name one by --hostname NAME');
  const records = hosts.flatMap((host) =>
    ports.map(
      (number): DnsRecord => ({
        name: tlsaName(host, number),
        type: 'TLSA',
        ttl: Number(ttl),
        values: [value],
      }),
    ),
  );
  const isJson = outputOption(output) === 'json';
  process.stdout.write(
    isJson ? `${JSON.stringify(records, null, 2)}\n` : `${records.flatMap(printRecord).join('\n')}\n`,
  );
  return 0;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`Cannot read "${file}": ${(error as NodeJS.ErrnoException).code}`);
  }
}
