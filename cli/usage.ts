/** Wrong usage of the command (exit status 2), and the readers of option values. Pure. */
import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '#crds/units.ts';

export class UsageError extends Error {}

/** A value that a verb cannot take, in the words for those that no verb sees. `what`: an option, or the name of an argument. */
export function cannotBe(what: string, value: string, cure: string): UsageError {
  return new UsageError(
    `${what.startsWith('-') ? 'Option' : 'Argument'} "${what}" cannot be "${value}": ${cure}`,
  );
}

/** By the name that the help has for the value of an option or for an argument. */
export function isPath(name = ''): boolean {
  return /^(file|path|dir)s?$/.test(name);
}

export function parsePort(text: string): number {
  return readWhole(text, 1, 65_535, 'It must be a port from 1 to 65535');
}

/** A name would be looked up, and may be the address of another machine. */
export function parseListenAddress(text: string): string {
  if (isIP(text) === 0 && text !== 'localhost')
    throw new InvalidArgumentError('It must be an IP address of this machine, such as :: or 127.0.0.1');
  return text;
}

/** Of another machine, or of this one. */
export function parseHost(text: string): string {
  if (isIP(text) === 0 && !/^[\w-]+(\.[\w-]+)*\.?$/.test(text))
    throw new InvalidArgumentError('It must be a host name or an IP address, such as 127.0.0.1');
  return text;
}

/** Of a trace, which has addresses also where a peer is a next hop. */
export function parsePeer(text: string): string {
  if (isIP(text) === 0)
    throw new InvalidArgumentError('It must be an IP address, such as 192.0.2.7 or 2001:db8::7');
  return text;
}

export function parseSession(text: string): string {
  if (!/^[^\]\s]+$/.test(text))
    throw new InvalidArgumentError('It must be an id, which stands in brackets in a trace');
  return text;
}

/** A reader of whole numbers from `least` on. */
export function parseNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`;
  return (text) => readWhole(text, least, most, `It must be a whole number, ${bounds}`);
}

function readWhole(text: string, least: number, most: number, fault: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < least || value > most) throw new InvalidArgumentError(fault);
  return value;
}

/** A time such as 2h, in seconds. */
export function parseTime(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) throw new InvalidArgumentError('It must be a time, such as 30m, 2h or 3d');
  return seconds;
}

/** Reads an option that chooses: of two values one would count, and the person would not know which. */
export function once<Value = string>(
  read: (text: string) => Value = (text) => text as Value,
): (text: string, before?: Value) => Value {
  return (text, before) => {
    if (before !== undefined) throw new InvalidArgumentError('It must be given once');
    return read(text);
  };
}

/** Lists the values of an option that can be repeated. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** The value of an option that has several values, separated by commas. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}

export function parseSender(text: string): string {
  return text === '' || text === '<>' ? '' : checkAddress(text);
}

export function collectRecipients(text: string, before: readonly string[] = []): string[] {
  return collect(checkAddress(text), before);
}

/** Only what no server can read: the relay decides about the rest, and its refusal is what a person wants to see. */
export function checkAddress(text: string): string {
  if (!/^[^\s<>@]+(?:@[^\s<>@]+)?$/.test(text) && !/^"[^<>]*"@[^\s<>@]+$/.test(text))
    throw new InvalidArgumentError('It must be a mail address, such as joe@example.com');
  return text;
}
