/** The verb `relay`. */
import { Option } from 'commander';
import { ADMIN_PORT, POD_PATHS } from '#crds/wellknown.ts';
import { parseListenAddress, parseNumber, parsePort } from '../usage.ts';
import { Verb } from '../verb.ts';

export const verb = new Verb('relay')
  .summary('the relay of a pod')
  .description(
    'The relay of a pod. Reads the policy, the certificate, and the Secrets and ConfigMaps that the policy names from folders, and applies their changes.',
  )
  .helpGroup('Used by the image:')
  .option('--policy <dir>', 'folder of the policy file', POD_PATHS.policy)
  .option('--certificate <dir>', 'folder of tls.crt and tls.key', POD_PATHS.certificate)
  .option(
    '--next-certificate <dir>',
    'the same of the certificate that will be served next',
    POD_PATHS.nextCertificate,
  )
  .option('--secrets <dir>', 'a folder in it for each Secret', POD_PATHS.secrets)
  .option('--configmaps <dir>', 'a folder in it for each ConfigMap', POD_PATHS.configMaps)
  .option('--state <dir>', 'folder of the queue', POD_PATHS.state)
  .option('--listen <address>', 'address of the listeners; "::" is both families', parseListenAddress, '::')
  .option('--admin-port <port>', 'port of health and metrics', parsePort, ADMIN_PORT)
  .addOption(
    new Option('--pod-name <name>', 'name of the pod, by which it knows whether it is still wanted').env(
      'POD_NAME',
    ),
  )
  .option(
    '--processes <count>',
    'listener processes (default: the CPU limit in whole cores but one; 4 at most without a limit)',
    parseNumber(1),
  )
  .option('--grace <seconds>', 'how long new connections are taken after SIGTERM', parseNumber(0), 10)
  .option('--drain <seconds>', 'how long open sessions may go on after that', parseNumber(0), 300)
  .does(async () => (await import('../relay.ts')).relay);
