/** The verb `version`. */
import { Verb } from '../verb.ts';

export const verb = new Verb('version')
  .summary('print the version')
  .description('Prints the version of this program.')
  .does(async () => (await import('../version.ts')).printVersion);
