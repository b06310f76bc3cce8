/** The words that the docs use can be explained, each with what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { explainWord, isWord, listWords } from './explainword.ts';
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

test('the codes of the page about symptoms are words', () => {
  const codes = find(page('troubleshooting.md'), /`([245]\d\d(?: [245]\.\d\.\d)?)[ `]/g);
  assertExplained([...codes, ...codes.flatMap((code) => code.split(' ').slice(1)), '5.7.0', '5.7.1'], 15);
  assert.match(explainWord('530').text, /STARTTLS(.|\n)*Authentication required/);
  assert.match(explainWord('5.7.3').text, /refusal of our login/);
});

test('the events of the log that its page names have a cause and a cure of their own', () => {
  const [, warn = ''] = /\| `warn` \|(.*)\|/.exec(page('logging.md')) ?? [];
  const events = find(warn, /`(\w+)`/g);
  assertExplained(events, 7);
  const texts = events.map((event) => explainWord(event).text.replace(event, ''));
  assert.equal(new Set(texts).size, events.length);
  for (const text of texts) assert.match(text, /\n {2}cause: /);
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
