/** Says in plain words what is wrong with the value of a field, and what it must be. Pure. */
import type { z } from 'zod';
import { cutText } from './cut.ts';
import { findNearest } from './nearest.ts';

type RawIssue = z.core.$ZodRawIssue;

const SHOWN = 60;

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with fields',
  record: 'an object with fields',
};

/** The message for an issue of Zod. Undefined: the schema has a message of its own, or the issue needs no other words. */
export function describeValueFault(issue: RawIssue): string | undefined {
  const { input } = issue;
  switch (issue.code) {
    case 'invalid_type':
      return describeType(issue.expected, input);
    case 'invalid_value':
      return describeChoice(issue.values.map(String), input);
    case 'too_small':
      return describeBound('at least', issue.origin, Number(issue.minimum));
    case 'too_big':
      return describeBound('at most', issue.origin, Number(issue.maximum));
    default:
      return 'has a value that this field cannot have: see docs/reference.md';
  }
}

/** A value as a person wrote it, cut to a length. */
export function quote(value: unknown): string {
  // JSON has no words for infinity, and for what is no number.
  const text = (typeof value === 'number' ? undefined : JSON.stringify(value)) ?? String(value);
  return text.length > SHOWN ? `${cutText(text, SHOWN)}…` : text;
}

/**
 * How a name is written that has capitals, letters of a country, or a final dot, if the field takes it then. `pattern`: that
 * of the issue, as text.
 */
export function describeForm(value: unknown, pattern: string | undefined): string {
  if (typeof value !== 'string' || pattern === undefined) return '';
  const at = value.lastIndexOf('@') + 1;
  const name = value.slice(at).replace(/\.$/, '').toLowerCase();
  const url = `https://${name}`;
  // A URL would end its host at some characters, and read numbers as an address.
  const isForeign = /[^ -~]/.test(name) && !/[/?#:%\\]/.test(name) && URL.canParse(url);
  const meant = `${value.slice(0, at)}${isForeign ? new URL(url).hostname : name}`;
  return new RegExp(pattern.slice(1, -1)).test(meant) ? `: write ${meant}` : '';
}

function describeType(expected: string, input: unknown): string {
  if (input === undefined) return 'is required: add it';
  const wanted = TYPES[expected] ?? expected;
  if (input === null) return `must be ${wanted}, and has no value: set it, or remove it`;
  if (expected === 'string' && typeof input !== 'object')
    return `must be text, not ${quote(input)}: put it into quotes`;
  if (/^(number|int)$/.test(expected) && typeof input === 'string' && Number.isFinite(Number(input)))
    return `must be ${wanted}, not the text ${quote(input)}: remove the quotes`;
  if (expected === 'boolean' && typeof input === 'string')
    return `must be true or false without quotes, not the text ${quote(input)}`;
  return `must be ${wanted}, not ${quote(input)}`;
}

function describeChoice(values: readonly string[], input: unknown): string {
  if (input === undefined) return `is required: set it to ${listChoices(values)}`;
  const meant = typeof input === 'string' ? findNearest(input, values) : undefined;
  const guess = meant === undefined ? '' : `: did you mean ${meant}?`;
  return `must be ${listChoices(values)}, not ${quote(input)}${guess}`;
}

function listChoices(values: readonly string[]): string {
  return values.length < 2
    ? `${values[0]}`
    : `${values.slice(0, -1).join(', ')} or ${values[values.length - 1]}`;
}

function describeBound(bound: 'at least' | 'at most', origin: string, limit: number): string {
  switch (origin) {
    case 'string':
      return bound === 'at least' && limit === 1
        ? 'must not be empty: set it, or remove it'
        : `must have ${bound} ${limit} characters`;
    case 'array':
      return bound === 'at least' && limit === 1
        ? 'must not be an empty list: add an entry, or remove the field'
        : `must have ${bound} ${limit} entries`;
    default:
      return `must be ${bound} ${limit}`;
  }
}
