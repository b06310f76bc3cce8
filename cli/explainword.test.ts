/** The words that the docs use can be explained, each with what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { findLevel, LOG_EVENTS } from '#relay/observe/levels.ts';
import { explainWord, isWord, listWords } from './explainword.ts';
import { OPERATOR_WORDS } from './operatorwords.ts';
import { UsageError } from './usage.ts';

const page = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');
const find = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, word = '']) => word);

function assertExplained(words: readonly string[], least: number): void {
  assert.ok(words.length >= least, words.join(' '));
  for (const word of words) {
    assert.ok(isWord(word), word);
    assert.match(explainWord(word).text, /\n {2}(cure|means): +\S/, word);
  }
}

test('the types of events for a webhook, and all alerts, are words', () => {
  assertExplained(find(page('events.md'), /^\| `(mail\.\w+)` \|/gm), 6);
  assertExplained(find(page('alerts.md'), /^## (MailRelay\w+)$/gm), 17);
});

test('a message without a signature is told what is wrong with it: mail waits for a key that is missing', () => {
  for (const word of ['not_signed', 'MailRelayNotSigned']) {
    const { text } = explainWord(word);
    assert.match(text, /cure: .*senderDomains/);
    assert.doesNotMatch(text, /Secret/);
  }
  const [, runbook = ''] = /^## MailRelayNotSigned\n([^#]*)/m.exec(page('alerts.md')) ?? [];
  assert.match(runbook, /sender_domains/);
  assert.doesNotMatch(runbook, /Secret/);
});

test('cures of one code are told apart', () => {
  for (const word of listWords().filter((one) => /^5\.7\.|^[a-z]+_[a-z]+$/.test(one))) {
    const { text } = explainWord(word);
    const refusals = text.split(/^(?=\S)/m).filter((one) => one.includes('(refusal of our login)'));
    const cases = refusals.map((one) => /^ {2}where: (.*)$/m.exec(one)?.[1]);
    assert.equal(new Set(cases).size, refusals.length, text);
    assert.ok(refusals.length < 2 || cases.every((one) => one !== undefined), text);
  }
  assert.match(
    explainWord('5.7.8').text,
    /where: the login is a token\n(.|\n)*a password, and the answer says "google\.com" or "gsmtp"/,
  );
});

test('the codes of the page about symptoms are words', () => {
  const codes = find(page('troubleshooting.md'), /`([245]\d\d(?: [245]\.\d\.\d)?)[ `]/g);
  assertExplained([...codes, ...codes.flatMap((code) => code.split(' ').slice(1)), '5.7.0', '5.7.1'], 15);
  assert.match(explainWord('530').text, /STARTTLS(.|\n)*Authentication required/);
  assert.match(explainWord('5.7.3').text, /refusal of our login/);
});

const isOf = (kind: string) => (line: string) => line.includes(`(event of the log${kind}`);
const tellEvent = (event: string, kind: string) =>
  explainWord(event)
    .text.split(/^(?=\S)/m)
    .find(isOf(kind)) ?? '';

test('every event of the log says what it means, and a trouble has its cause and its cure too', () => {
  assert.ok(LOG_EVENTS.length > 70);
  for (const event of LOG_EVENTS) {
    const text = tellEvent(event, ', level ');
    const isTrouble = ['error', 'warn'].includes(findLevel(event));
    assert.match(
      text,
      isTrouble ? /\n {2}means: .+\n {2}cause: .+\n {2}cure: {2}./ : /\n {2}means: ./,
      event,
    );
  }
  const meanings = LOG_EVENTS.map((event) => tellEvent(event, ', level ').split('\n')[1]);
  assert.equal(new Set(meanings).size, LOG_EVENTS.length, 'two events have one meaning');
});

test('every event of the log of the operator, as its page lists them, says what it means', () => {
  const events = find(page('operator-metrics.md').split('## The log')[1] ?? '', /^\| `(\w+)` \|/gm);
  assert.ok(events.length > 15);
  for (const event of events) assert.match(tellEvent(event, ' of the operator'), /\n {2}means: ./, event);
  assert.deepEqual(new Set(Object.keys(OPERATOR_WORDS)), new Set(events));
});

test('an unknown word is answered in a line that can be read, and a domain is no word', () => {
  const told = (word: string) => {
    try {
      return explainWord(word).text;
    } catch (error) {
      assert.ok(error instanceof UsageError);
      return error.message;
    }
  };
  for (const word of ['Foo', 'toString', '5.7.99', '299'])
    assert.ok(told(word).includes(word) && told(word).length < 250, told(word));
  assert.doesNotMatch(told('5.7.99'), /did you mean/);
  assert.match(told('MailRelayNotRedy'), /did you mean MailRelayNotReady\?/);
  for (const word of ['mail.example', 'joe@partner.example', '1.2.3.4'])
    assert.equal(isWord(word), false, word);
  assert.ok(!listWords().some((word) => /\s/.test(word)), 'a shell offers single words');
});
