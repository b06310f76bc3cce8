/**
 * A verb of the command: commander's Command with the rules of this program. Wrong usage is one sentence that names the
 * help. The module that acts is loaded when the verb runs, because the Kubernetes client library alone costs half a
 * second.
 */
import { styleText } from 'node:util';
import { Argument, Command, type ErrorOptions, InvalidArgumentError, Option } from 'commander';
import { collect, isPath, UsageError } from './usage.ts';
import { describeUsage } from './usagewords.ts';

interface Example {
  /** Without the name of the program. */
  readonly line: string;
  readonly meaning: string;
}

/** Gets the arguments of the verb, then its options. Resolves with the exit status. */
// biome-ignore lint/suspicious/noExplicitAny: commander does not know the types of arguments and options
type Action = (...given: any[]) => Promise<number>;

type Read = (text: string, before: never) => unknown;

export class Verb extends Command {
  readonly examples: Example[] = [];

  constructor(name?: string) {
    super(name);
    this.exitOverride();
    this.enablePositionalOptions();
    this.helpOption('-h, --help', 'print this help');
    this.helpCommand(false);
    this.commandsGroup('Verbs:');
    // Commander removes the styles where the output is no terminal, and with NO_COLOR.
    this.configureHelp({
      styleTitle: (text) => styleText('bold', text, { validateStream: false }),
    });
    this.addHelpText('after', () => this.#describeExamples());
  }

  /** The words of the verb, such as "mailrelay queue list". */
  get path(): string {
    return this.parent instanceof Verb ? `${this.parent.path} ${this.name()}` : this.name();
  }

  get #root(): string {
    return this.parent instanceof Verb ? this.parent.#root : this.name();
  }

  override createCommand(name?: string): Verb {
    return new Verb(name);
  }

  example(line: string, meaning: string): this {
    this.examples.push({ line, meaning });
    return this;
  }

  does(load: () => Promise<Action>): this {
    return this.action(async (...given) => {
      process.exitCode = await (await load())(...given);
    });
  }

  override addOption(option: Option): this {
    if (isPath(/<([^>]+)>/.exec(option.flags)?.[1])) refuseEmpty(option);
    return super.addOption(option);
  }

  override addArgument(argument: Argument): this {
    if (isPath(argument.name())) refuseEmpty(argument);
    return super.addArgument(argument);
  }

  override error(message: string, { code = '' }: ErrorOptions = {}): never {
    const sentence = describeUsage(this, code, message)
      .replace(/\.?\n/g, ' ')
      .replace(/\.$/, '')
      .replace(/'([^']*)'/g, '"$1"');
    throw new UsageError(`${sentence[0]?.toUpperCase()}${sentence.slice(1)}: see "${this.path} --help"`);
  }

  #describeExamples(): string {
    if (this.examples.length === 0) return '';
    const lines = this.examples.map(({ line, meaning }) => `  ${meaning}:\n    ${this.#root} ${line}`);
    return `\nExamples:\n${lines.join('\n')}`;
  }
}

/** An argument for which a shell offers words, although others are allowed. They are loaded when a shell asks. */
export class Suggested extends Argument {
  readonly suggest: () => Promise<readonly string[]>;

  constructor(name: string, description: string, suggest: () => Promise<readonly string[]>) {
    super(name, description);
    this.suggest = suggest;
  }
}

/** A variable of a script that is not set leaves an empty word, which Node would take for the working folder. */
function refuseEmpty(one: Option | Argument): void {
  const read: Read = one.parseArg ?? (one.variadic ? collect : (text) => text);
  const checked: Read = (text, before) => {
    if (text === '') throw new InvalidArgumentError('It must be a path');
    return read(text, before);
  };
  one.argParser(checked as never);
}

export type Format = 'text' | 'wide' | 'json' | 'yaml' | 'sarif';

/** The option that every verb with output has. */
export function outputOption(...formats: readonly Format[]): Option {
  return new Option('-o, --output <format>', 'form of the output').choices(formats).default('text');
}

/** The folder that the tools of a running relay use. */
export function stateOption(): Option {
  return new Option(
    '--state <dir>',
    'state folder of the relay (default: that of the pod, or the one below .state)',
  );
}
