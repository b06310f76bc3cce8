/** The verb `cert`. */
import { DEFAULT_TTL_SECONDS } from '#crds/dnsrecords.ts';
import { collect, parseNumber, parsePort } from '../usage.ts';
import { outputOption, Verb } from '../verb.ts';

const MOST_TTL_SECONDS = 999_999_999;

export const verb = new Verb('cert')
  .summary('judge a certificate and its key as a relay does')
  .description(
    'Judges a certificate and its private key (PEM) as a relay does: whether they belong together, until when the certificate is valid, and whether it names the hosts. Exit status 1 when anything is wrong.',
  )
  .requiredOption('--cert <file>', 'tls.crt of the Secret, the chain behind the certificate')
  .option('--key <file>', 'tls.key of the Secret')
  .option('--hostname <name>', 'spec.hostname; can be repeated', collect)
  .option(
    '--tlsa',
    'print the TLSA records 3 1 1 of the key of the certificate instead, as lines of a zone file; no key is needed. Without --hostname for the names in the certificate',
  )
  .option(
    '--port <port>',
    'port of a TLSA record; can be repeated (default: 25)',
    (text: string, before: readonly number[] = []) => [...before, parsePort(text)],
  )
  .option(
    '--ttl <seconds>',
    'time to live of the TLSA records',
    parseNumber(0, MOST_TTL_SECONDS),
    DEFAULT_TTL_SECONDS,
  )
  .addOption(outputOption('text', 'json', 'yaml'))
  .example('cert --cert tls.crt --key tls.key --hostname relay.example.com', 'Try a pair before it is used')
  .example('cert --tlsa --cert tls.crt', 'The TLSA records of a certificate')
  .does(async () => (await import('../cert.ts')).cert);
