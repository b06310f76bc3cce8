/** The verb `status`. */
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { parseHost, parsePort } from '../usage.ts';
import { outputOption, stateOption, Verb } from '../verb.ts';

export const verb = new Verb('status')
  .summary('what a running relay serves, and whom Required would refuse')
  .description(
    'Shows which policy and which certificate a relay really serves, its queue, its sessions, whom starttls: Required would refuse, how deliveries were protected, and which destinations a stricter level would make wait. With -o wide, tables of the listeners, client policies, certificates, DKIM keys and destinations follow. Exit status 1 when the relay is not ready.',
  )
  .option(
    '--address <host>',
    'where the relay serves health and status (default: as its state folder says)',
    parseHost,
  )
  .option(
    '--admin-port <port>',
    `its port (default: as its state folder says; in a pod ${ADMIN_PORT})`,
    parsePort,
  )
  .addOption(stateOption())
  .addOption(outputOption('text', 'wide', 'json', 'yaml'))
  .option('--metrics', 'print its metrics instead, as Prometheus reads them')
  .example('status', 'The relay of "mailrelay run", or of this pod')
  .does(async () => (await import('../status.ts')).status);
