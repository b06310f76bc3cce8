import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { traceOf } from '#test/kit/relayrig.ts';
import { HeaderEditor, joinSteps } from '../headers/header.ts';
import { ACTION_NAMES, readAnswer, type Verdict } from './answer.ts';

const MESSAGE =
  'From: a@b.example\r\nSubject: offer\r\nX-Spam: No\r\nX-Many: 1\r\nX-Many: 2\r\n folded\r\nX-Many: 3\r\n\r\nbody\r\n';

/** The message after the changes of this answer. */
function change(answer: object, message = MESSAGE): string {
  const verdict = readAnswer(JSON.stringify({ action: 'no action', ...answer }));
  assert.ok(verdict.kind === 'pass' || verdict.kind === 'hold', JSON.stringify(verdict));
  const steps = joinSteps([verdict.changes]);
  const editor = new HeaderEditor(steps, traceOf());
  const front = steps.front.map((render) => render(traceOf())).join('');
  return front + Buffer.concat([...editor.push(Buffer.from(message)), ...editor.end()]).toString();
}

const reasonOf = (verdict: Verdict) => (verdict.kind === 'failed' ? verdict.reason : verdict.kind);
const without = (...lines: string[]) => lines.reduce((text, line) => text.replace(line, ''), MESSAGE);

test('no action changes nothing but a forged X-Spam', () => {
  assert.equal(change({}), without('X-Spam: No\r\n'));
});

test('"add header" says X-Spam, and takes that of the sender away', () => {
  assert.equal(change({ action: 'add header' }), `X-Spam: Yes\r\n${without('X-Spam: No\r\n')}`);
});

test('"rewrite subject" replaces the subject, also one that is missing', () => {
  const rest = without('X-Spam: No\r\n', 'Subject: offer\r\n');
  assert.equal(
    change({ action: 'rewrite subject', subject: '[spam] offer' }),
    `Subject: [spam] offer\r\n${rest}`,
  );
  assert.equal(change({ action: 'rewrite subject' }), `Subject: *** SPAM ***\r\n${rest}`);
  assert.equal(change({ action: 'rewrite subject', subject: 'x' }, '\r\nbody'), 'Subject: x\r\n\r\nbody');
});

test('a reply of the filter is given with its text, or with ours', () => {
  const messages = { smtp_message: 'You are listed' };
  for (const [action, permanent] of [
    ['reject', true],
    ['soft reject', false],
    ['greylist', false],
  ] as const) {
    assert.deepEqual(readAnswer(JSON.stringify({ action, messages })), {
      kind: 'refuse',
      action,
      permanent,
      text: 'You are listed',
    });
    const own = readAnswer(JSON.stringify({ action, messages: [] }));
    assert.ok(own.kind === 'refuse' && own.text !== '');
  }
});

test('fields are added in every form that rspamd writes', () => {
  const add_headers = {
    'X-A': 'one',
    'X-B': { value: 'two', order: 0 },
    'X-C': ['3', { value: 4 }],
    'X-D': 5,
  };
  assert.equal(
    change({ milter: { add_headers } }),
    `X-A: one\r\nX-B: two\r\nX-C: 3\r\nX-C: 4\r\nX-D: 5\r\n${without('X-Spam: No\r\n')}`,
  );
});

test('fields are removed by their number, or all of a name', () => {
  const rest = without('X-Spam: No\r\n');
  const remove = (remove_headers: object) => change({ milter: { remove_headers } });
  assert.equal(remove({ 'x-many': 2 }), rest.replace('X-Many: 2\r\n folded\r\n', ''));
  assert.equal(remove({ 'X-MANY': [1, 3] }), rest.replace('X-Many: 1\r\n', '').replace('X-Many: 3\r\n', ''));
  assert.equal(
    remove({ 'X-Many': 0, 'X-None': 0 }),
    without('X-Spam: No\r\n').replace(/X-Many: .*\r\n( .*\r\n)?/g, ''),
  );
  assert.equal(remove({ 'X-Many': 9 }), rest);
});

test('an empty list is an empty map, and null is nothing, as Lua writes them', () => {
  const rest = without('X-Spam: No\r\n');
  for (const milter of [
    [],
    null,
    { add_headers: [], remove_headers: [] },
    { add_headers: null, remove_headers: null },
    { add_headers: { 'X-A': [], 'X-B': null, 'X-C': [null], 'X-D': { value: null } } },
    { remove_headers: { 'X-Many': [], Subject: null } },
  ])
    assert.equal(change({ milter, subject: null, messages: [] }), rest, JSON.stringify(milter));
  assert.equal(
    change({ action: 'rewrite subject', subject: null }),
    `Subject: *** SPAM ***\r\n${rest.replace('Subject: offer\r\n', '')}`,
  );
});

test('a computed value is printed, and a number may be a text', () => {
  const rest = without('X-Spam: No\r\n');
  const add_headers = { 'X-A': true, 'X-B': [1.5, false], 'X-C': { value: true, order: '1' } };
  assert.equal(
    change({ milter: { add_headers } }),
    `X-A: true\r\nX-B: 1.5\r\nX-B: false\r\nX-C: true\r\n${rest}`,
  );
  assert.equal(
    change({ milter: { remove_headers: { 'X-Many': ['1', 3], Subject: '0' } } }),
    rest.replace(/Subject: .*\r\n|X-Many: [13]\r\n/g, ''),
  );
});

test('a message whose header is out of order gets its field all the same', () => {
  const odd = 'no field\r\nX-Spam: No\r\n\r\nbody';
  assert.equal(change({ action: 'add header' }, odd), 'X-Spam: Yes\r\n\r\nno field\r\n\r\nbody');
});

test('an answer that makes no sense is a failure', () => {
  for (const [answer, reason] of [
    ['', /no JSON/],
    ['<html>', /no JSON/],
    ['null', /cannot be read/],
    ['[]', /cannot be read/],
    ['{}', /action/],
    ['{"action": 1}', /action/],
    ['{"action": "delete"}', /unknown action "delete"/],
    ['{"action": "constructor"}', /unknown action/],
    ['{"action": "\\u001b[31m"}', /unknown action "\?\[31m"/],
    ['{"action": "no action", "milter": ["X"]}', /milter/],
    ['{"action": "no action", "milter": "X"}', /milter/],
    ['{"action": "no action", "milter": {"add_headers": ["X"]}}', /milter/],
    ['{"action": "no action", "milter": {"add_headers": {"X": {"value": {}}}}}', /milter/],
    ['{"action": "no action", "milter": {"remove_headers": {"X": 1.5}}}', /milter/],
    ['{"action": "no action", "milter": {"remove_headers": {"X": true}}}', /milter/],
    ['{"action": "no action", "subject": ["a", "b"]}', /subject/],
    ['{"action": "no action", "milter": {"add_headers": {"X\\r\\nY": "a"}}}', /milter/],
    ['{"action": "no action", "milter": {"add_headers": {"X Y": "a"}}}', /milter/],
    ['{"action": "no action", "milter": {"remove_headers": {"X": "a"}}}', /milter/],
  ] as const)
    assert.match(reasonOf(readAnswer(answer)), reason, answer);
});

test('what is too much is a failure', () => {
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`X-${index}`, 'v']));
  const long = { 'X-Long': 'x'.repeat(70_000) };
  for (const milter of [{ add_headers: many }, { add_headers: long }])
    assert.equal(readAnswer(JSON.stringify({ action: 'no action', milter })).kind, 'failed');
});

/** A line that begins a field, or continues one. */
const LINE = /^([!-9;-~]+: |\t)[\t -~]*$/;

test('whatever the filter writes, the fields are in order', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a\r\n\r\nb', '\nX-Evil: 1', 'ä'.repeat(900)),
  );
  // The parser leaves out a field of this name.
  const name = fc.stringMatching(/^[!-9;-~]{1,20}$/).filter((one) => one !== '__proto__');
  const headers = fc.dictionary(name, value);
  fc.assert(
    fc.property(headers, value, (add_headers, subject) => {
      const verdict = readAnswer(
        JSON.stringify({ action: 'rewrite subject', subject, milter: { add_headers } }),
      );
      assert.ok(verdict.kind === 'pass');
      const lines = verdict.changes.front?.(traceOf()).split('\r\n') ?? [];
      assert.equal(lines.pop(), '');
      for (const line of lines) assert.ok(line.length <= 998 && LINE.test(line), line);
      assert.equal(
        lines.filter((line) => !line.startsWith('\t')).length,
        Object.keys(add_headers).length + 1,
      );
    }),
  );
});

test('no answer throws, and every action is known', () => {
  const action = fc.constantFrom(...ACTION_NAMES);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.record({ action, milter: fc.anything() })), (answer) => {
      readAnswer(typeof answer === 'string' ? answer : (JSON.stringify(answer) ?? ''));
    }),
  );
  for (const name of ACTION_NAMES)
    assert.notEqual(readAnswer(JSON.stringify({ action: name })).kind, 'failed');
});
