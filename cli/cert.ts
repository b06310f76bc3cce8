/**
 * `mailrelay cert`: judges a certificate and its key as a relay does before it serves them, so that a pair can be tried
 * before it goes into a Secret. With --tlsa it prints the TLSA records of the certificate. The exit status is 1 if a
 * relay would refuse the pair or warn about it. Never prints a key.
 */
import { readFileSync } from 'node:fs';
import { type DnsRecord, printRecord, tlsaName, tlsaValue } from '#crds/dnsrecords.ts';
import { judgePair, readCertificateFacts } from '#crds/keypair.ts';
import { host } from '#crds/shapes.ts';
import { describeFileError } from '#crds/systemwords.ts';
import { refuseMisshapen } from './misshapen.ts';
import { print } from './output.ts';
import { describeCertificate } from './statustext.ts';
import { paintNames } from './styles.ts';
import { UsageError } from './usage.ts';
import type { Format } from './verb.ts';

interface CertOptions {
  readonly cert: string;
  readonly key?: string;
  readonly hostname?: readonly string[];
  readonly tlsa?: boolean;
  readonly port?: readonly number[];
  readonly ttl: number;
  readonly output: Format;
}

const SMTP_PORT = 25;

export async function cert(options: CertOptions): Promise<number> {
  const { cert: certFile, key, hostname = [], output } = options;
  // A relay may serve a pair for a wildcard, and a record has a host.
  for (const name of hostname)
    refuseMisshapen('--hostname', host(), options.tlsa ? name : name.replace(/^\*\./, ''));
  if (options.tlsa) return printTlsa(options);
  if (key === undefined)
    throw new UsageError(
      'Name the key too, by --key FILE; without a key there are its DNS records, by --tlsa',
    );
  const now = new Date();
  const judged = judgePair(readText(certFile), readText(key), hostname, now);
  const facts = judged.kind === 'usable' ? judged.facts : null;
  const problem = judged.kind === 'usable' ? judged.warning : judged;
  const lines = describeCertificate('certificate', facts, problem, now.getTime());
  await print(output, judged, () => paintNames(`${lines.join('\n')}\n`));
  return problem === null ? 0 : 1;
}

async function printTlsa(options: CertOptions): Promise<number> {
  const { cert: file, hostname = [], port = [SMTP_PORT], ttl, output } = options;
  const facts = readCertificateFacts(readText(file));
  if (!facts?.publicKeySha256)
    throw new Error(`"${file}" is not a PEM certificate: name tls.crt of the Secret`);
  const value = tlsaValue(facts.publicKeySha256);
  const hosts = hostname.length > 0 ? hostname : facts.names.filter((name) => !name.startsWith('*.'));
  if (hosts.length === 0) throw new UsageError('The certificate names no host: name one by --hostname NAME');
  const records = hosts.flatMap((name) =>
    port.map((number): DnsRecord => ({ name: tlsaName(name, number), type: 'TLSA', ttl, values: [value] })),
  );
  await print(output, records, () => `${records.flatMap(printRecord).join('\n')}\n`);
  return 0;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw describeFileError('read', file, error);
  }
}
