/** The verb `lint`. */
import { collect } from '../usage.ts';
import { outputOption, Verb } from '../verb.ts';

export const verb = new Verb('lint')
  .summary('check manifests without a cluster')
  .description(
    'Checks every MailRelay in files and folders: schema, unknown fields and cross-field rules, as the API server does. What compares with a stored object (another queue.mode) only the API server can check. A warning is what the API server takes, and a person may not have meant, or a table of addresses that the relay would not take. The Secrets and ConfigMaps that a MailRelay names are checked where they are in the same file or folder. Exit status 1 when something is wrong, and not for a warning.',
  )
  .argument('[paths...]', 'files or folders of YAML documents')
  .option('-f, --file <path>', 'the same as an option; can be repeated', collect)
  .addOption(outputOption('text', 'json', 'yaml', 'sarif'))
  .example('lint relay.yaml', 'Check one file')
  .example('lint -o sarif manifests > lint.sarif', 'Check a folder in CI')
  .does(async () => (await import('../lint.ts')).lint);
