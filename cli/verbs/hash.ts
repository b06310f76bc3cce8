/** The verb `hash`. */
import { collect } from '../usage.ts';
import { Verb } from '../verb.ts';

export const verb = new Verb('hash')
  .summary('turn a password into what a Secret of users holds')
  .description(
    'Reads a password from the terminal (twice, without showing it) or from standard input (its first line), and prints its hash for a Secret of users. A password is never an argument.',
  )
  // The action refuses arguments: the message of commander would print a password that was given as one.
  .allowExcessArguments(true)
  .option('--user <name>', 'print a Secret document with this user')
  .option(
    '--sender <address>',
    'a sender that this user may use, or a domain of senders; may be repeated (default: any)',
    collect,
  )
  .option('--secret <name>', 'name of that Secret (default: relay-users)')
  .option('--namespace <name>', 'namespace of that Secret (default: that of kubectl)')
  .example('hash --user alice', 'A new Secret')
  .example('hash --user alice --sender alice@example.com', 'A user who may send as one address only')
  .addHelpText(
    'after',
    `
To add a user to a Secret that exists:
  kubectl patch secret relay-users --patch "{\\"stringData\\": {\\"alice\\": \\"$(mailrelay hash)\\"}}"`,
  )
  .does(async () => (await import('../hash.ts')).hash);
