/**
 * Runs a program with verbs. Exit status: 0 done, 1 failed, 2 wrong usage. An error is one sentence on standard error,
 * without a stack.
 */
import { type Command, CommanderError } from 'commander';
import { describeSystemError, isSystemCode } from '#crds/systemwords.ts';
import { visibleLines } from '#crds/visible.ts';
import { paint } from './styles.ts';
import { UsageError } from './usage.ts';

/** `build` makes the program for the first word, and gives the words that are its own. */
type Build = (
  argv: readonly string[],
) => Promise<{ readonly program: Command; readonly words: readonly string[] }>;

export async function runProgram(name: string, argv: readonly string[], build: Build): Promise<void> {
  watchOutput(name);
  try {
    const { program, words } = await build(normalize(argv));
    const asksHelp = HELP.includes(argv[0] ?? '');
    await program.parseAsync(checkVerbs(program, words, asksHelp), { from: 'user' });
  } catch (error) {
    process.exitCode = explain(name, error);
  }
}

/**
 * A reader that closes the pipe early, such as "| head", is no error. Any other fault is told once and makes the exit status 1;
 * a relay goes on, because its mail matters more than what it prints.
 */
function watchOutput(name: string): void {
  let isTold = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isTold) return;
    isTold = true;
    process.once('exit', () => {
      process.exitCode ||= 1;
    });
    tell(name, `Cannot write to standard output: ${describeSystemError(error)}`);
  });
  process.stderr.on('error', () => undefined);
}

/** A sentence may quote a stranger: a server, a manifest, the name of a file. */
function tell(name: string, sentence: string): void {
  process.stderr.write(`${paint('red', `${name}:`, process.stderr)} ${visibleLines(sentence)}\n`);
}

const HELP = ['help', '-h', '--help'];

/** The ways to ask for help or for the version, written in one way. */
function normalize(argv: readonly string[]): string[] {
  const [first = '', ...rest] = argv;
  if (['-V', '--version'].includes(first)) return ['version', ...rest];
  // Help about help is the help.
  return HELP.includes(first) ? [...rest.filter((word) => !HELP.includes(word)), '--help'] : [...argv];
}

/**
 * Without the words after an unknown verb, because a --help among them would hide the mistake. Throws if a group of
 * verbs gets no verb: commander would print its whole help. `asksHelp`: nothing but verbs may be before the last word.
 */
function checkVerbs(program: Command, words: readonly string[], asksHelp: boolean): readonly string[] {
  let command = program;
  for (const [index, word] of words.entries()) {
    const isLast = index === words.length - 1;
    if (asksHelp && !isLast && (command.commands.length === 0 || word.startsWith('-')))
      command.error(`the word '${word}' is no verb`);
    if (command.commands.length === 0 || word.startsWith('-')) return words;
    // "queue help list" as "help queue list".
    if (word === 'help') {
      const others = words.toSpliced(index, 1).filter((one) => !HELP.includes(one));
      return checkVerbs(program, [...others, '--help'], true);
    }
    const next = command.commands.find((one) => one.name() === word);
    if (!next) return words.slice(0, index + 1);
    command = next;
  }
  const [first] = command.commands;
  if (first && command !== program)
    command.error(`say what to do, such as "${program.name()} ${command.name()} ${first.name()}"`);
  return words;
}

/** The exit status for an error, after a word to the person. */
function explain(name: string, error: unknown): number {
  // The help was printed: because the person asked for it, or because there is no verb.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  tell(name, describe(error));
  return error instanceof UsageError ? 2 : 1;
}

/** An error of the system that no verb has put into words has at least no words of Node. */
function describe(error: unknown): string {
  const { code = '', path, message } = error as NodeJS.ErrnoException;
  if (!isSystemCode(code)) return message;
  return `${path === undefined ? '' : `"${path}": `}${describeSystemError(error)}`;
}
