/** `mailrelay completion`: prints the script that completes the words of this command in a shell. */
import type { Command } from 'commander';
import { readTree, withHelp } from './commandtree.ts';
import { makeBashCompletion } from './completebash.ts';
import { makeFishCompletion } from './completefish.ts';
import { makeZshCompletion } from './completezsh.ts';

const MAKERS = { bash: makeBashCompletion, zsh: makeZshCompletion, fish: makeFishCompletion } as const;

export async function completion(
  shell: keyof typeof MAKERS,
  _options: object,
  { parent }: Command,
): Promise<number> {
  if (!parent) throw new Error('The verb "completion" is part of no program');
  process.stdout.write(MAKERS[shell](withHelp(await readTree(parent))));
  return 0;
}
