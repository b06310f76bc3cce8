import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { masqueradedAddress, masqueradedField } from './masquerade.ts';

const DOMAINS = ['Example.com', 'eu.example.com'];

const ADDRESSES: readonly [string, string][] = [
  ['bob@host.example.com', 'bob@example.com'],
  ['bob@a.b.c.EXAMPLE.com', 'bob@EXAMPLE.com'],
  ['bob@host.eu.example.com', 'bob@eu.example.com'],
  ['bob@eu.example.com', 'bob@eu.example.com'],
  ['bob@example.com', 'bob@example.com'],
  ['bob@badexample.com', 'bob@badexample.com'],
  ['bob@host.example.com.org', 'bob@host.example.com.org'],
  ['bob@.example.com', 'bob@.example.com'],
  ['bob@[192.0.2.1]', 'bob@[192.0.2.1]'],
  ['"a@b.example.com"@h.example.com', '"a@b.example.com"@example.com'],
  ['bob@h\u0130.example.com', 'bob@example.com'],
  ['postmaster', 'postmaster'],
  ['', ''],
];

for (const [before, after] of ADDRESSES) {
  test(`<${before}> is seen as <${after}>`, () => assert.equal(masqueradedAddress(before, DOMAINS), after));
}

test('an empty list, and an empty domain in it, change nothing', () => {
  assert.equal(masqueradedAddress('a@h.example.com', []), 'a@h.example.com');
  assert.equal(masqueradedAddress('a@h.example.com', ['']), 'a@h.example.com');
});

test('what is masqueraded stays so', () => {
  const label = fc.constantFrom('a', 'eu', 'example', 'com', 'Example', '');
  fc.assert(
    fc.property(
      fc.array(label).map((labels) => `a@${labels.join('.')}`),
      (address) => {
        const once = masqueradedAddress(address, DOMAINS);
        assert.equal(masqueradedAddress(once, DOMAINS), once);
        assert.ok(address.endsWith(once.slice(2)));
      },
    ),
  );
});

/** The text between `From:` and the line break, and the expected result. undefined: no change. */
const BODIES: readonly [string, string?][] = [
  ['a@h.example.com', 'a@example.com'],
  ['<a@h.example.com>', '<a@example.com>'],
  ['"a@h.example.com" <a@h.example.com>', '"a@h.example.com" <a@example.com>'],
  ['"q\\"<x@h.example.com>" <a@h.example.com>', '"q\\"<x@h.example.com>" <a@example.com>'],
  ['"a b"@h.example.com', '"a b"@example.com'],
  ['(a@h.example.com (b\\))) a@h.example.com', '(a@h.example.com (b\\))) a@example.com'],
  ['a @ (x) h.example.com (y)', 'a @ (x) example.com (y)'],
  ['A. B <a@\r\n h.example.com>\r\n ', 'A. B <a@\r\n example.com>\r\n '],
  [',a@h.example.com,,b@x.org,', ',a@example.com,,b@x.org,'],
  [
    '=?utf-8?q?=3Cx=40h.example.com=3E?= <a@h.example.com>',
    '=?utf-8?q?=3Cx=40h.example.com=3E?= <a@example.com>',
  ],
  ['a@[h.example.com]'],
  ['staff: a@h.example.com;'],
  ['<@r.example.com:a@h.example.com>'],
  ['"open <a@h.example.com>'],
  ['(open a@h.example.com'],
  ['a@h.example.com <b@h.example.com>'],
  ['a@h.example.com b@h.example.com'],
  ['a@h.example.com\nb'],
  ['a@h. example.com'],
  ['a@h.example.com\\'],
  ['good@h.example.com, bad@@h.example.com'],
  [''],
];

for (const [before, after] of BODIES) {
  test(`"From: ${JSON.stringify(before)}" ${after ? 'changes in its domain' : 'is left alone'}`, () => {
    for (const lineBreak of ['\r\n', '']) {
      const text = `From: ${before}${lineBreak}`;
      const wanted = `From: ${after ?? before}${lineBreak}`;
      assert.equal(masqueradedField({ name: 'from', text }, DOMAINS), wanted);
    }
  });
}

// The promise: no field of any client blocks its listener.
test('a field as long as a section is read in a moment', () => {
  for (const unit of ['(', '"', '"\\"', '<', ' ', '\r\n ', 'a,', 'a@h.example.com,', '()']) {
    const text = `From: ${unit.repeat(65536 / unit.length)}x`;
    const began = performance.now();
    masqueradedField({ name: 'from', text }, DOMAINS);
    assert.ok(performance.now() - began < 1000, JSON.stringify(unit));
  }
});
