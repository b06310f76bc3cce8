import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodedWords } from '#crds/encodedwords.ts';
import fc from '#test/kit/property.ts';
import { findSubject } from './subject.ts';

const find = (field: string) =>
  findSubject(Buffer.from(`From: <a@b.example>\r\n${field}\r\nTo: <c@d.example>\r\n\r\nx`));

test('a subject is told as a person reads it', () => {
  const cases: [string, string | null][] = [
    ['Subject: Hello', 'Hello'],
    ['subject:Hello', 'Hello'],
    ['Subject: one\r\n two  ', 'one two'],
    ['Subject: ', ''],
    ['X-Subject: no', null],
    ['Subject: =?utf-8?q?h=C3=A9_lo?= x', 'hé lo x'],
    ['Subject: =?ISO-8859-1?Q?a?=\r\n =?iso-8859-1*de?Q?=E9?= b', 'aé b'],
    ['Subject: =?gb2312?B?xOO6ww==?=', '你好'],
    ['Subject: =?nonsense?B?xOO6ww==?= x', '=?nonsense?B?xOO6ww==?= x'],
    ['Subject: 2 =? 3 ?=', '2 =? 3 ?='],
  ];
  for (const [field, subject] of cases) assert.equal(find(field), subject, field);
  assert.equal(findSubject(Buffer.from('Subject: only')), 'only');
  assert.equal(findSubject(Buffer.from('From: a\r\n\r\nSubject: body')), null);
});

test('what send writes is read again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }), (text) => {
      const words = encodedWords(text, 39);
      assert.equal(find(`Subject: ${words.join('\r\n ')}`), text);
    }),
  );
});
