/** The verb `send`. */
import { InvalidArgumentError, Option } from 'commander';
import { collectRecipients, parsePort, parseSender } from '../usage.ts';
import { Verb } from '../verb.ts';

/** HOST:PORT. Without brackets the last part of an IPv6 address would be taken for a port. */
function parseServer(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):([^:]*)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined)
    throw new InvalidArgumentError('It must be HOST:PORT, such as relay.example.com:25 or [2001:db8::7]:25');
  return { host, port: parsePort(port) };
}

export const verb = new Verb('send')
  .summary('send one message through a relay, verifying its certificate')
  .description(
    'Sends one message. The certificate of the server is verified. Nothing is sent in plain text without --tls none. Exit status 1 when the message is not taken for every recipient.',
  )
  .requiredOption('--server <host:port>', 'where to send', parseServer)
  .requiredOption('--from <address>', 'sender of the envelope; <> is the null sender', parseSender)
  .requiredOption('--to <address>', 'recipient; can be repeated', collectRecipients)
  .addOption(
    new Option('--tls <mode>', 'how the session is encrypted')
      .choices(['starttls', 'implicit', 'none'])
      .default('starttls'),
  )
  .option('--server-name <name>', 'name that the certificate must have (default: the host of --server)')
  .option(
    '--ca <file>',
    'certificates to trust (default: in a relay pod the ca.crt of its Secret, else the public roots)',
  )
  .option('--user <name>', 'log in; the password is asked for, or is the first line of standard input')
  .option('--token-file <file>', 'log in with the token in this file (XOAUTH2), such as a ServiceAccount has')
  .option('--subject <text>', 'subject of the message', 'A message through the relay')
  .option('--steps', 'print the conversation too, each line with its time')
  .example(
    'send --server relay.example.com:25 --from me@example.com --to you@example.com',
    'Send one message with STARTTLS',
  )
  .does(async () => (await import('../send.ts')).send);
