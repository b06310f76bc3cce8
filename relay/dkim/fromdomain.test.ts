/** The domain of the From field, which decides what key signs a message. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { opener } from '#test/fixtures/opener.ts';
import { findFromDomain } from './fromdomain.ts';

/** A word with a dot is the domain. Any other word is the reason why there is none. */
const FROM: readonly [string, string][] = [
  ['From: a@Example.com\r\n\r\n', 'example.com'],
  ['X: y\r\nfrom : "x, y@z" (c)\r\n <a@mail.example.com>\r\n\r\nFrom: b@example.org\r\n', 'mail.example.com'],
  ['From: a@example.com', 'example.com'],
  ['From: a@m\xc3\xbcller.de\r\n\r\n', 'xn--mller-kva.de'],
  ['From: a@example.com, b@Example.com\r\n\r\n', 'example.com'],
  ['From: a@example.com, b@example.org\r\n\r\n', 'several_domains'],
  ['From: a@example.com\r\nFrom: a@example.com\r\n\r\n', 'several_from'],
  ['From: a@[192.0.2.1]\r\n\r\n', 'unreadable_from'],
  ['From: g: a@example.com;\r\n\r\n', 'example.com'],
  ['From: a@example.net <a@example.com>\r\n\r\n', 'example.com'],
  ['From: Doe, Jane <jane@example.com>\r\n\r\n', 'example.com'],
  ['From: Sales [EU] (a (b) c@x.y) <a@example.com>\r\n\r\n', 'example.com'],
  ['From: "Jane <jane@example.com>\r\n\r\n', 'example.com'],
  ['From: <@hop.example.net:a@example.com>\r\n\r\n', 'example.com'],
  ['From: Jane <jane@example.com\r\n\r\n', 'example.com'],
  ['From: A <a@example.com> B <b@example.net>\r\n\r\n', 'several_domains'],
  ['From: Jane <>\r\n\r\n', 'unreadable_from'],
  [`From: ${'"\\'.repeat(30_000)}\r\n\r\n`, 'unreadable_from'],
  ['From: root\r\n\r\n', 'unreadable_from'],
  ['From: \r\n\r\n', 'unreadable_from'],
  ['Subject: x\r\n\r\nFrom: a@example.com\r\n', 'no_from'],
  ['', 'no_from'],
  [`From: a@example.com\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 'example.com'],
  [`From: a@example.com\r\nX: ${'x'.repeat(270_000)}\r\n\r\n`, 'long_header'],
];

test('findFromDomain is the one domain of the one From field, or why there is none', async () => {
  for (const [text, wanted] of FROM) {
    for (const size of text.length > 2_000 ? [65_536] : [3, 65_536]) {
      const found = await findFromDomain(opener(Buffer.from(text, 'latin1'), size));
      const said = found.kind === 'domain' ? found.domain : found.reason;
      assert.equal(said, wanted, JSON.stringify(text.slice(0, 60)));
    }
  }
});

test('findFromDomain reads no further than it must, and lets the stream go', async () => {
  let chunks = 0;
  const stream = new Readable({
    read() {
      chunks += 1;
      this.push(chunks === 1 ? 'From: a@example.com\r\n\r\n' : 'x'.repeat(65536));
    },
  });
  assert.deepEqual(await findFromDomain(() => stream), {
    kind: 'domain',
    domain: 'example.com',
    hasStrayLine: false,
  });
  assert.equal(stream.destroyed, true);
  assert.ok(chunks < 4, `${chunks} chunks`);
});
