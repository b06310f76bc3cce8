/**
 * `mailrelay dkim`: makes a DKIM key in a file, and prints the DNS record of its public half. A file that is there is
 * never overwritten: its record is printed again. The private key is in the file and nowhere else. With --file it shows
 * the keys of a manifest.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type DnsRecord, dkimName, dkimText, dkimValue, printRecord } from '#crds/dnsrecords.ts';
import { effectivePolicy } from '#crds/effective.ts';
import { dkimDomain, dkimSelector } from '#crds/outbound.ts';
import { judgeDkimKey, readDkimPublicKey } from '#crds/publickeys.ts';
import { describeFileError } from '#crds/systemwords.ts';
import { describeKeys, describeWideKeys, listKeys, USUAL_BITS } from './dkimkeys.ts';
import { readManifests } from './documents.ts';
import { refuseMisshapen } from './misshapen.ts';
import { print } from './output.ts';
import { quoteWord, visible } from './terminal.ts';
import { cannotBe, UsageError } from './usage.ts';
import type { Format } from './verb.ts';

interface DkimOptions extends KeyOptions {
  readonly domain?: string;
  readonly selector?: string;
  readonly key?: string;
  /** The manifest whose keys are shown. */
  readonly file?: string;
}

interface KeyOptions {
  /** Of a new key: rsa, if none is named. */
  readonly type?: 'rsa' | 'ed25519';
  /** Of a new RSA key. */
  readonly bits?: number;
  readonly ttl: number;
  readonly output: Format;
}

const PEM = {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
} as const;

/** The key to make or to read. */
type Wish = KeyOptions & Required<Pick<DkimOptions, 'domain' | 'selector' | 'key'>>;

export async function dkim(options: DkimOptions): Promise<number> {
  const { domain, selector, key, file, type, bits, output } = options;
  if (domain !== undefined && selector !== undefined && key !== undefined && file === undefined)
    return showRecord({ ...options, domain, selector, key });
  if (file === undefined || [domain, selector, key, type, bits].some((option) => option !== undefined))
    throw new UsageError('Name a key by --domain, --selector and --key, or a manifest by --file');
  const { relay } = await readManifests(file);
  const keys = listKeys(effectivePolicy(relay, relay.spec));
  await print(output, keys, () => (output === 'wide' ? describeWideKeys(keys) : describeKeys(keys)));
  return 0;
}

async function showRecord(options: Wish): Promise<number> {
  const { domain, selector, key: file, type, bits, ttl, output } = options;
  if (output === 'wide') throw cannotBe('--output', output, 'only --file lists keys');
  if (type === 'ed25519' && bits !== undefined)
    throw new UsageError('Option "--bits" is for RSA keys: an Ed25519 key has one size, leave --bits out');
  refuseMisshapen('--domain', dkimDomain(), domain);
  refuseMisshapen('--selector', dkimSelector(), selector);
  const { pem, isNew } = makeOrRead(options);
  const key = readDkimPublicKey(pem);
  if (!key)
    throw new Error(
      `"${file}" is no private key of DKIM${whyNot(pem)}: name a PEM file with an RSA key of 1024 bits or more or an Ed25519 key, or one that does not exist yet`,
    );
  if (type !== undefined && type !== key.type)
    throw new Error(
      `"${file}" has a key of type ${key.type} already: leave --type out, or name another file`,
    );
  refuseOtherSize(options, pem);
  const record: DnsRecord = { name: dkimName(domain, selector), type: 'TXT', ttl, values: [dkimValue(key)] };
  const steps = isNew ? describeSteps(options) : [];
  // Programs get the text as it is: quotes and pieces are of zone files.
  await print(
    output,
    { ...record, values: [dkimText(key)] },
    () => `${[...steps.map(visible), ...printRecord(record)].join('\n')}\n`,
  );
  return 0;
}

function whyNot(pem: string): string {
  const judged = judgeDkimKey(pem);
  return judged.kind === 'unusable' ? `, as ${judged.reason}` : '';
}

function refuseOtherSize({ key: file, bits }: Wish, pem: string): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pem);
  const size = asymmetricKeyDetails?.modulusLength;
  if (bits === undefined || bits === size) return;
  const what = size === undefined ? `of type ${asymmetricKeyType}` : `of ${size} bits`;
  throw new Error(`"${file}" has a key ${what} already: leave --bits out, or name another file`);
}

function makeOrRead({ key: file, type, bits }: Wish): { pem: string; isNew: boolean } {
  const found = readIfThere(file);
  if (found !== undefined) return { pem: found, isNew: false };
  const pem = makeKey(type, bits);
  try {
    // Never over a file that came meanwhile: a key that signs may be lost by it.
    writeFileSync(file, pem, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw describeFileError('write', file, error);
  }
  return { pem, isNew: true };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw describeFileError('read', file, error);
  }
}

function makeKey(type: DkimOptions['type'], bits = USUAL_BITS): string {
  return type === 'ed25519'
    ? generateKeyPairSync('ed25519', PEM).privateKey
    : generateKeyPairSync('rsa', { modulusLength: bits, ...PEM }).privateKey;
}

/** Comments of a zone file: the output as a whole can go into one. */
function describeSteps({ domain, selector, key: file }: Wish): string[] {
  const secret = `dkim-${selector.replaceAll('.', '-')}`;
  return [
    `; The private key is in ${file}. Put it into a Secret:`,
    `;   kubectl create secret generic ${secret} --from-file=private.key=${quoteWord(file)}`,
    '; The first key of a domain: when this record is in DNS, add the key to outbound.dkim:',
    `;   {domain: ${domain}, selector: ${selector}, secretName: ${secret}}`,
    '; A further key: add it now, with "use: Publish"; "mailrelay dkim -f MANIFEST" says what comes next.',
  ];
}
