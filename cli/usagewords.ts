/** What commander says of wrong usage, in the words of this program: what is wrong, and the cure. Pure. */
import type { Command, Option } from 'commander';
import { findNearest } from '#crds/nearest.ts';

/** `code` and `message` are those of commander. */
export function describeUsage(verb: Command, code: string, message: string): string {
  const quoted = /'([^']*)'/.exec(message)?.[1] ?? '';
  switch (code) {
    case 'commander.unknownOption':
      return describeUnknown(verb, quoted);
    case 'commander.optionMissingArgument':
      return `option '${nameOf(quoted)}' has no value: ${describeChoice(findOption(verb, quoted))}`;
    case 'commander.missingMandatoryOptionValue': {
      // An option that is misspelt is missing too.
      const stray = verb.args.find((word) => /^-./.test(word));
      return stray === undefined
        ? `option '${nameOf(quoted)}' is missing: add ${describeValue(quoted)}`
        : describeUnknown(verb, stray);
    }
    case 'commander.missingArgument': {
      const argument = verb.registeredArguments.find((one) => one.name() === quoted);
      return `argument '${quoted}' is missing: give ${argument?.description}`;
    }
    case 'commander.excessArguments':
      return `argument '${verb.args[verb.registeredArguments.length]}' is too much: there is no place for it`;
    case 'commander.invalidArgument':
      return describeInvalid(message);
    case 'commander.unknownCommand':
      return describeUnknownVerb(
        verb,
        quoted,
        withoutPrefix(message).replace('unknown command', 'unknown verb'),
      );
    default:
      return withoutPrefix(message);
  }
}

/** Commander guesses too, but not where the case differs. */
function describeUnknownVerb({ commands }: Command, given: string, sentence: string): string {
  const meant = findNearest(
    given,
    commands.map((one) => one.name()),
  );
  return meant === undefined || sentence.includes('Did you mean')
    ? sentence
    : `${sentence} (Did you mean ${meant}?)`;
}

/** Never with the value, which may be a secret. */
function describeUnknown({ options }: Command, given: string): string {
  const [flag = ''] = given.split('=');
  if (flag !== given && options.some(({ long }) => long === flag))
    return `option '${flag}' takes no value: write ${flag} alone`;
  const meant = findNearest(flag, ['--help', ...options.flatMap(({ long }) => long ?? [])]);
  return `unknown option '${flag}'${meant === undefined ? '' : ` (Did you mean ${meant}?)`}`;
}

/** The readers of values (usage.ts) say "It must be". */
function describeInvalid(message: string): string {
  const {
    flags,
    value,
    name,
    why = '',
  } = /^error: (?:option '(?<flags>[^']*)' (?:argument|value)|command-argument value) '(?<value>.*)' (?:from env '\w*' )?is invalid(?: for argument '(?<name>[^']*)')?\. (?<why>.*)$/s.exec(
    message,
  )?.groups ?? {};
  if (value === undefined) return withoutPrefix(message);
  const what = name === undefined ? `option '${nameOf(flags)}'` : `argument '${name}'`;
  const cure = why.replace(/^Allowed choices are /, 'choose one of ').replace(/^I(?=t must)/, 'i');
  return `${what} cannot be '${value}': ${cure}`;
}

function describeChoice(option: Option | undefined): string {
  if (option?.argChoices) return `choose one of ${option.argChoices.join(', ')}`;
  return `write ${describeValue(option?.flags)}`;
}

function findOption({ options }: Command, flags: string): Option | undefined {
  return options.find((option) => option.flags === flags);
}

/** "-f, --file <path>" is --file PATH. */
function describeValue(flags = ''): string {
  const [, value = ''] = /<([^>]+)>/.exec(flags) ?? [];
  return `${nameOf(flags)} ${value.toUpperCase()}`;
}

function nameOf(flags = ''): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

function withoutPrefix(message: string): string {
  return message.replace(/^error: /, '');
}
