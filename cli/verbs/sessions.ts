/** The verb `sessions`. */
import { MOST_SESSIONS } from '#crds/sessions.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { parsePort } from '../usage.ts';
import { outputOption, stateOption, Verb } from '../verb.ts';

export const verb = new Verb('sessions')
  .summary('who is connected now: clients, and next hops')
  .description(
    `Lists the open sessions of a running relay: of clients with their listener, TLS, login, last command and messages so far, and of next hops. The oldest come first, at most ${MOST_SESSIONS} in each direction, and the rest is counted. Addresses in logins are written as in the log (logging.addresses). The relay tells its sessions only to its own machine.`,
  )
  .option(
    '--admin-port <port>',
    `port of its health and status (default: as its state folder says; in a pod ${ADMIN_PORT})`,
    parsePort,
  )
  .addOption(stateOption())
  .addOption(outputOption('text', 'wide', 'json', 'yaml'))
  .example('sessions', 'The relay of "mailrelay run", or of this pod')
  .example('sessions -o wide', 'Also session ids for the trace, HELO names, ciphers and certificates')
  .does(async () => (await import('../sessions.ts')).sessions);
