/**
 * Parses the options of a verb by util.parseArgs. An unknown or malformed option is wrong usage (exit status 2),
 * reported in one sentence.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';

export class UsageError extends Error {}

/** Parses `argv`. If it has --help, prints `help` and returns undefined. */
export function options<T extends NonNullable<ParseArgsConfig['options']>>(
  argv: string[],
  spec: T,
  help: string,
) {
  const parsed = parseOrExplain(argv, { ...spec, help: { type: 'boolean', short: 'h' } });
  if ((parsed.values as { help?: boolean }).help) {
    process.stdout.write(help);
    return undefined;
  }
  return parsed as ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>>;
}

function parseOrExplain(argv: string[], spec: NonNullable<ParseArgsConfig['options']>) {
  try {
    return parseArgs({ args: argv, options: spec, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}: see --help`);
  }
}

/** The value of `--output`: text for people, JSON for programs. */
export function outputOption(text: string): 'text' | 'json' {
  if (text === 'text' || text === 'json') return text;
  throw new UsageError(`--output must be text or json, not "${text}"`);
}

/** The port number in an option. Throws a usage error that names the option. */
export function portOption(name: string, text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port < 1 || port > 65_535) {
    throw new UsageError(`--${name} must be a port from 1 to 65535, not "${text}"`);
  }
  return port;
}
