/** What `kubectl mailrelay report` leaves of addresses: domains, and one word for each local part, in every form of text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import fc from '#test/kit/property.ts';
import { formatJson } from '../output.ts';
import { makeRedaction } from './report.ts';

test('no local part of an address is left in a report, and one address has one word', () => {
  const redact = makeRedaction();
  const [first, second] = redact('<joe.user+x@example.com> joe.user+x@example.com').split(' ');
  assert.match(first ?? '', /^<[0-9a-f]{12}@example\.com>$/);
  assert.equal(second, first?.slice(1, -1));
  fc.assert(
    fc.property(fc.emailAddress(), (address) => {
      const [local = ''] = address.split('@');
      return local.length < 4 || !redact(`{"from":"${address}"}`).includes(`"${local}@`);
    }),
  );
});

test('of a local part in any letters, or in quotes, nothing is left in a report', () => {
  const redact = makeRedaction();
  const locals = ['नमस्ते', 'ไทย้', 'e\u0301milie', 'o\u2019neil', '\u{1f389}party', 'ann\u200fbob'];
  for (const local of [...locals, '"ann lee"', '"a@b"', '"a\\"b"']) {
    const address = `${local}@partner.example`;
    for (const text of [`to <${address}>`, formatJson({ from: 'other.example', to: address })]) {
      const left = redact(text);
      assert.match(
        left,
        /^(to <|\{"from":"other\.example","to":")[0-9a-f]{12}@partner\.example(>|"\})$/,
        text,
      );
    }
  }
  assert.match(
    redact('joe@\u2615.example, ann@[192.0.2.1]'),
    /^[0-9a-f]{12}@\u2615\.example, [0-9a-f]{12}@\[/,
  );
  assert.equal(redact('"@partner.example" and @x.example'), '"@partner.example" and @x.example');
});

test('what a manifest says of whole domains, and the name of an image, stay in a report', () => {
  const redact = makeRedaction();
  const entries = [
    { address: '@old.example', to: ['@new.example', '@*.other.example'] },
    { address: '"x"', to: '@new.example' },
  ];
  const image = 'image: registry.example/mailrelay/mailrelay@sha256:0123abcd\n';
  for (const text of [formatJson(entries), formatJson(entries, 2), stringify({ entries }), image])
    assert.equal(redact(text), text);
  const inside = stringify({ note: `it's ${formatJson({ to: ['@old.example', '@new.example'] })}` });
  assert.equal(redact(inside), inside);
  assert.doesNotMatch(redact(formatJson(['@old.example', '"ann lee"@x.example'])), /ann|lee/);
});

test('an address has one word, whatever the form of the text', () => {
  const redact = makeRedaction();
  assert.match(redact('\\u005c@x.example'), /^[0-9a-f]{12}@x\.example$/);
  const inTrace = (text: string) =>
    text.replace(/[^\x20-\x7e]+/gu, (some) =>
      Buffer.from(some).toString('hex').toUpperCase().replace(/../g, '<$&>'),
    );
  const others = [
    'ann\u200fbob@x.example',
    'émilie@x.example',
    'नमस्ते@x.example',
    '"é lee"@x.example',
    '"\\\\"@x.example',
  ];
  for (const address of ['"ann lee"@x.example', '"a\\"b"@x.example', ...others]) {
    const [word = ''] = /^[0-9a-f]{12}(?=@)/.exec(redact(address)) ?? [];
    for (const text of [
      formatJson({ address }),
      stringify({ address }),
      stringify({ address: `${address}'` }),
    ])
      assert.ok(redact(text).includes(`${word}@x.example`), text);
    assert.equal(redact(`R: MAIL FROM:<${inTrace(address)}>`), `R: MAIL FROM:<${word}@x.example>`);
    const reason = (one: string) => formatJson({ inside: formatJson({ reason: `550 "a" to <${one}>: no` }) });
    assert.equal(redact(reason(address)), reason(`${word}@x.example`));
  }
});
