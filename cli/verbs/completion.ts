/** The verb `completion`. */
import { Argument } from 'commander';
import { Verb } from '../verb.ts';

export const verb = new Verb('completion')
  .summary('print what completes the words of this command in a shell')
  .description(
    'Prints a script that completes verbs, options and their values in a shell. It is made of the same source as the help.',
  )
  .addArgument(new Argument('<shell>', 'the shell that the script is for').choices(['bash', 'zsh', 'fish']))
  .example('completion bash > ~/.local/share/bash-completion/completions/mailrelay', 'For bash')
  .example('completion zsh > ~/.zfunc/_mailrelay', 'For zsh, with ~/.zfunc in fpath')
  .example('completion fish > ~/.config/fish/completions/mailrelay.fish', 'For fish')
  .does(async () => (await import('../completion.ts')).completion);
