/**
 * What a word means that the status, the events, the log or the metrics use: a condition, its reason, an event, the
 * rule that refused a client, an event of the log or for a webhook, an alert, the cause of a failure, the code of a reply
 * or of a provider that refuses our login. Pure.
 */
import { CONDITION_MEANING, CONDITION_TYPES, REASONS } from '#crds/conditions.ts';
import { CHANGE_EVENTS } from '#crds/events.ts';
import { HOP_CURES } from '#crds/hopcures.ts';
import { LOGIN_PROBLEMS } from '#crds/loginproblems.ts';
import { findNearest } from '#crds/nearest.ts';
import { findCure, RULES_OF_REFUSAL } from '#relay/listener/cures.ts';
import { REPLIES } from '#relay/listener/reply.ts';
import { findLevel, LOG_EVENTS } from '#relay/observe/levels.ts';
import { ALERTS, MAIL_EVENTS } from './docwords.ts';
import { LOG_WORDS } from './logwords.ts';
import { OPERATOR_WORDS } from './operatorwords.ts';
import { UsageError } from './usage.ts';

/** One meaning of a word. Another kind may use the same word. */
interface Meaning {
  readonly word: string;
  readonly kind: string;
  readonly meaning?: string;
  readonly cause?: string;
  /** What tells this meaning from another one of the same word. */
  readonly where?: string;
  readonly cure?: string;
}

/** A code of a reply (550), an enhanced status code (5.7.1), or both. */
const CODE = /^[245]\d\d$|^(?:[245]\d\d )?[245]\.\d{1,3}\.\d{1,3}$/;

const NO_CODE =
  'the relay has no reply with this code, so that it comes from another host, whose own words say more';
const NO_WORD =
  'write a condition or its reason (KeyMismatch), the rule of a refusal (relaying_denied), an event (deferred), an alert (MailRelayNotReady) or a code (5.7.1)';

/** A word with a full stop could be a domain too, so only a known one is a word. */
export function isWord(text: string): boolean {
  return CODE.test(text) || !/[@.:/]/.test(text) || findMeanings(text).length > 0;
}

export function explainWord(word: string): { value: Meaning | readonly Meaning[]; text: string } {
  const found = CODE.test(word) ? findReplies(word) : findMeanings(word);
  const [first, ...more] = found;
  if (!first) throw unknown(word);
  return { value: more.length === 0 ? first : found, text: found.map(describe).join('') };
}

/** The words that a shell may offer. */
export function listWords(): string[] {
  return [...new Set(listMeanings().map(({ word }) => word))];
}

function findMeanings(word: string): Meaning[] {
  return listMeanings().filter((one) => one.word.toLowerCase() === word.toLowerCase());
}

/** What the relay answers with this code, and what a refusal of our login with it means. */
function findReplies(code: string): Meaning[] {
  const told = new Map<string, Meaning>();
  for (const { code: number, text, reason } of Object.values(REPLIES)) {
    const [status = ''] = text.split(' ');
    const word = `${number} ${text}`;
    const kind = `reply to a client, rule ${reason}`;
    if ([`${number}`, status, `${number} ${status}`].includes(code))
      told.set(word, { word, kind, cure: findCure(reason) ?? '' });
  }
  return [...told.values(), ...findMeanings(code.split(' ').at(-1) ?? '')];
}

function listMeanings(): Meaning[] {
  return [
    ...CONDITION_TYPES.map((type) => ({ word: type, kind: 'condition', meaning: CONDITION_MEANING[type] })),
    ...Object.entries(REASONS).map(([word, { type, cause, cure }]) => ({
      word,
      kind: `${type}: ${CONDITION_MEANING[type]}`,
      cause,
      cure,
    })),
    ...Object.entries(CHANGE_EVENTS).map(([word, meaning]) => ({
      word,
      kind: 'event of the MailRelay',
      meaning,
    })),
    ...RULES_OF_REFUSAL.map((word) => ({ word, kind: 'refusal of a client', cure: findCure(word) ?? '' })),
    ...LOG_EVENTS.map((word) => ({
      word,
      kind: `event of the log, level ${findLevel(word)}`,
      ...LOG_WORDS[word],
    })),
    ...name('event of the log of the operator', OPERATOR_WORDS),
    ...name('alert', ALERTS),
    ...name('event for a webhook', MAIL_EVENTS),
    ...Object.entries(HOP_CURES).map(([word, cure]) => ({ word, kind: 'cause of a failed delivery', cure })),
    ...LOGIN_PROBLEMS.map(({ code, ...more }) => ({ word: code, kind: 'refusal of our login', ...more })),
  ];
}

function name(kind: string, words: Readonly<Record<string, Omit<Meaning, 'word' | 'kind'>>>): Meaning[] {
  return Object.entries(words).map(([word, one]) => ({ word, kind, ...one }));
}

function describe({ word, kind, meaning, cause, where, cure }: Meaning): string {
  const lines = [
    `${word} (${kind})`,
    ...(meaning === undefined ? [] : [`  means: ${meaning}`]),
    ...(cause === undefined ? [] : [`  cause: ${cause}`]),
    ...(where === undefined ? [] : [`  where: ${where}`]),
    ...(cure === undefined ? [] : [`  cure:  ${cure}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function unknown(word: string): UsageError {
  return new UsageError(`There is no word "${word}": ${CODE.test(word) ? NO_CODE : suggest(word)}`);
}

function suggest(word: string): string {
  const meant = findNearest(word, listWords());
  return meant === undefined ? NO_WORD : `did you mean ${meant}?`;
}
