/** The verb `dkim`. */
import { Option } from 'commander';
import { DEFAULT_TTL_SECONDS } from '#crds/dnsrecords.ts';
import { USUAL_BITS } from '../dkimkeys.ts';
import { once, parseNumber } from '../usage.ts';
import { outputOption, Verb } from '../verb.ts';

const MOST_TTL_SECONDS = 999_999_999;
/** RFC 8301: verifiers need not know more than 4096. */
const MOST_BITS = 4_096;

export const verb = new Verb('dkim')
  .summary('make a DKIM key, and show its DNS record')
  .description(
    'Makes a private key for outbound.dkim in a file, and prints the DNS record of its public half. A file that is there already stays as it is: its record is printed. With --file it shows which keys of a manifest sign, which are only published, and the next step of a roll-over; -o wide is a line with tabs for each.',
  )
  .option('--domain <domain>', 'domain that signs, such as example.com')
  .option('--selector <selector>', 'selector of the key, such as s1; a new key has a new one')
  .option('--key <file>', 'file of the private key, made if it is missing')
  .option(
    '-f, --file <path>',
    'show the keys of this MailRelay instead; file or folder of YAML documents',
    once(),
  )
  .addOption(
    new Option(
      '--type <type>',
      'kind of a new key; receivers that do not know ed25519 need rsa beside it (default: rsa)',
    ).choices(['rsa', 'ed25519']),
  )
  .option(
    '--bits <bits>',
    `size of a new RSA key (default: ${USUAL_BITS})`,
    parseNumber(USUAL_BITS, MOST_BITS),
  )
  .option(
    '--ttl <seconds>',
    'time to live of the record',
    parseNumber(0, MOST_TTL_SECONDS),
    DEFAULT_TTL_SECONDS,
  )
  .addOption(outputOption('text', 'wide', 'json', 'yaml'))
  .example('dkim --domain example.com --selector s1 --key private.key', 'Make a key')
  .example(
    'dkim --domain example.com --selector s2 --type ed25519 --key s2.key',
    'Make the next key, for another selector',
  )
  .example('dkim -f relay.yaml', 'Which key signs, and what comes next')
  .does(async () => (await import('../dkim.ts')).dkim);
