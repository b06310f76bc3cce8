/** The tree of verbs as data, for completion, man page and documentation. Pure. */
import type { Argument, Command, Option } from 'commander';
import { isPath } from './usage.ts';

/** What a person may type as a value: one of these words, a path, or anything. */
export type Value =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'path' }
  | { readonly kind: 'any' };

export interface OptionFacts {
  /** As the help shows it: -o, --output <format>. */
  readonly flags: string;
  readonly names: readonly string[];
  /** With its default and its choices. */
  readonly description: string;
  readonly summary: string;
  /** Undefined: the option has no value. */
  readonly value: Value | undefined;
}

export interface ArgumentFacts {
  readonly name: string;
  readonly description: string;
  readonly isRepeated: boolean;
  readonly value: Value;
}

export interface VerbFacts {
  /** mailrelay queue list. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly usage: string;
  readonly options: readonly OptionFacts[];
  readonly arguments: readonly ArgumentFacts[];
  readonly examples: readonly { readonly line: string; readonly meaning: string }[];
  readonly verbs: readonly VerbFacts[];
}

export async function readTree(command: Command, above: readonly string[] = []): Promise<VerbFacts> {
  const words = [...above, command.name()];
  const help = command.createHelp();
  return {
    path: words.join(' '),
    name: command.name(),
    summary: command.summary(),
    description: command.description(),
    usage: `${words.join(' ')} ${command.usage()}`.trimEnd(),
    options: help.visibleOptions(command).map((option) => ({
      flags: option.flags,
      names: [option.short, option.long].filter((name) => name !== undefined),
      description: help.optionDescription(option),
      summary: option.description,
      value: readOptionValue(option),
    })),
    arguments: await Promise.all(
      command.registeredArguments.map(async (argument) => ({
        name: argument.name(),
        description: help.argumentDescription(argument),
        isRepeated: argument.variadic,
        value: await readArgumentValue(argument),
      })),
    ),
    examples: (command as { examples?: VerbFacts['examples'] }).examples ?? [],
    verbs: await Promise.all(command.commands.map((one) => readTree(one, words))),
  };
}

/** This verb and all below it. */
export function listAll(verb: VerbFacts): VerbFacts[] {
  return [verb, ...verb.verbs.flatMap(listAll)];
}

/** With the verb "help", behind which there are all other verbs, and nothing that they take. For completion alone. */
export function withHelp(program: VerbFacts): VerbFacts {
  const path = `${program.path} help`;
  const summary = 'print the help of a verb';
  const help = { ...nameOnly(program, program.path), path, name: 'help', summary };
  return { ...program, verbs: [...program.verbs, help] };
}

function nameOnly(verb: VerbFacts, above: string): VerbFacts {
  const path = `${above} help${verb.path.slice(above.length)}`;
  return { ...verb, path, options: [], arguments: [], verbs: verb.verbs.map((one) => nameOnly(one, above)) };
}

function readOptionValue(option: Option): Value | undefined {
  const [, name] = /<([^>]+)>/.exec(option.flags) ?? [];
  return name === undefined ? undefined : readValue(option, name);
}

async function readArgumentValue(argument: Argument): Promise<Value> {
  const { suggest } = argument as { readonly suggest?: () => Promise<readonly string[]> };
  return suggest ? { kind: 'words', words: await suggest() } : readValue(argument, argument.name());
}

function readValue({ argChoices }: Option | Argument, name: string): Value {
  if (argChoices) return { kind: 'words', words: argChoices };
  return isPath(name) ? { kind: 'path' } : { kind: 'any' };
}
