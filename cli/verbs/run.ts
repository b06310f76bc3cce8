/** The verb `run`. */
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { once, parseListenAddress, parsePort } from '../usage.ts';
import { Verb } from '../verb.ts';

export const verb = new Verb('run')
  .summary('run a MailRelay manifest as local processes')
  .description(
    `Runs the MailRelay of a manifest as local processes: no root, no cluster. Ports below 1024 are served at 10000 + port. The manifest is watched: an edit is applied as the operator would apply it. Secrets and ConfigMaps that the MailRelay names may be documents of the same file or folder; without its Secret the relay uses a throw-away local CA. On a terminal it shows a live view, and the log goes to relay.log in the state folder; elsewhere it prints plain lines, and the log goes to standard error.`,
  )
  .argument('[path]', 'file or folder of YAML documents')
  .option('-f, --file <path>', 'the same as an option', once())
  .option(
    '--state <dir>',
    'folder of the queue and the local CA (default: .state/NAMESPACE-NAME in the working folder)',
  )
  .option('--listen <address>', 'address of all listeners', parseListenAddress, '127.0.0.1')
  .option('--admin-port <port>', 'port of health, status and metrics', parsePort, ADMIN_PORT)
  .option(
    '--sink <port>',
    'start a sink for trying things behind the relay: it takes the mail for this port of 127.0.0.1, and shows it',
    parsePort,
  )
  .option('--log', 'plain lines and the log also on a terminal, instead of the live view')
  .example('run -f relay.yaml', 'Run a relay until Ctrl-C')
  .does(async () => (await import('../run.ts')).run);
