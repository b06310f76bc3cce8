/**
 * What a word means that the status, the events, the log or the metrics use: a condition, its reason, an event, the
 * rule that refused a client, an event of the log, the cause of a failure, the code of a provider that refuses our
 * login. Pure.
 */
import { CONDITION_MEANING, CONDITION_TYPES, type ConditionType, REASONS } from '#crds/conditions.ts';
import { CHANGE_EVENTS } from '#crds/events.ts';
import { HOP_CURES } from '#crds/hopcures.ts';
import { LOGIN_PROBLEMS } from '#crds/loginproblems.ts';
import { findNearest } from '#crds/nearest.ts';
import { findCure, RULES_OF_REFUSAL } from '#relay/listener/cures.ts';
import { findLevel, type Level, LOG_EVENTS } from '#relay/observe/levels.ts';
import { UsageError } from './usage.ts';

const LEVEL_MEANING: Readonly<Record<Level, string>> = {
  error: 'a person must act',
  warn: 'mail or a client did not get through, or something is wrong that ends by itself',
  info: 'mail and transitions',
  debug: 'a step of these',
};

/** One meaning of a word. Another kind may use the same word. */
interface Meaning {
  readonly word: string;
  readonly kind: string;
  readonly meaning?: string;
  readonly cause?: string;
  readonly cure?: string;
}

export function explainWord(word: string): { value: Meaning | readonly Meaning[]; text: string } {
  const found = listMeanings().filter((one) => one.word.toLowerCase() === word.toLowerCase());
  const [first, ...more] = found;
  if (!first) throw unknown(word);
  return { value: more.length === 0 ? first : found, text: found.map(describe).join('') };
}

function listMeanings(): Meaning[] {
  return [
    ...CONDITION_TYPES.map((type) => ({
      word: type,
      kind: 'condition',
      meaning: CONDITION_MEANING[type],
    })),
    ...Object.entries(REASONS).map(([reason, { type, cause, cure }]) => ({
      word: reason,
      kind: describeReason(type),
      cause,
      cure,
    })),
    ...Object.entries(CHANGE_EVENTS).map(([event, meaning]) => ({
      word: event,
      kind: 'event of the MailRelay',
      meaning,
    })),
    ...RULES_OF_REFUSAL.map((rule) => ({
      word: rule,
      kind: 'refusal of a client',
      cure: findCure(rule) ?? '',
    })),
    ...LOG_EVENTS.map((event) => ({
      word: event,
      kind: 'event of the log',
      meaning: `level ${findLevel(event)}: ${LEVEL_MEANING[findLevel(event)]}`,
    })),
    ...Object.entries(HOP_CURES).map(([cause, cure]) => ({
      word: cause,
      kind: 'cause of a failed delivery',
      cure,
    })),
    ...LOGIN_PROBLEMS.map(({ code, cure }) => ({ word: code, kind: 'refusal of our login', cure })),
  ];
}

function describeReason(type: ConditionType): string {
  return `${type}: ${CONDITION_MEANING[type]}`;
}

function describe({ word, kind, meaning, cause, cure }: Meaning): string {
  const lines = [
    `${word} (${kind})`,
    ...(meaning === undefined ? [] : [`  means: ${meaning}`]),
    ...(cause === undefined ? [] : [`  cause: ${cause}`]),
    ...(cure === undefined ? [] : [`  cure:  ${cure}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function unknown(word: string): UsageError {
  const words = listMeanings().map((one) => one.word);
  const meant = findNearest(word, words);
  const known =
    meant === undefined ? `there are ${[...new Set(words)].join(', ')}` : `did you mean ${meant}?`;
  return new UsageError(`There is no word "${word}": ${known}`);
}
