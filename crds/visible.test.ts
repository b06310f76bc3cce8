import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeUnseen, visible, visibleLines } from './visible.ts';

test('no control, no end of a line and no mark of direction gets through; letters of all scripts do', () => {
  const hidden = [
    '\x00',
    '\t',
    '\n',
    '\x1b',
    '\x7f',
    '\x85',
    '\x9b',
    '\u061c',
    '\u200e',
    '\u200f',
    '\u2028',
    '\u2029',
  ];
  for (const one of [...hidden, '\u202a', '\u202e', '\u2066', '\u2069'])
    assert.equal(visible(`a${one}b`), 'a?b', `U+${one.codePointAt(0)?.toString(16)}`);
  for (const text of ['printer-2.example', 'Büro 打印机', 'مكتب', '👍', ''])
    assert.equal(visible(text), text);
});

test('of several lines only ends of lines and tabs stay', () => {
  assert.equal(visibleLines('a\tb\nc\r\x1b[31m\u202e\x9b'), 'a\tb\nc??[31m??');
});

test('what JSON leaves as it is becomes an escape, and says the same', () => {
  const text = 'a\x00\x1b\x7f\x85\x9b\u061c\u200e\u2028\u202e\u2069"\\ü打👍';
  const json = escapeUnseen(JSON.stringify(text));
  assert.equal(visible(json), json);
  assert.equal(JSON.parse(json), text);
});
