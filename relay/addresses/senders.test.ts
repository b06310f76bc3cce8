import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileSenders } from './senders.ts';

const may = (patterns: readonly string[], address: string) => compileSenders(patterns)?.(address);

test('what follows the domain in another form of text is part of no domain', () => {
  for (const text of ['/xn--a.evil.example', '?é.evil.example', '#é', '\\é', ':25é', '\té', '%2fé'])
    for (const pattern of ['example.com', 'alice@example.com', '*.com'])
      assert.equal(may([pattern], `alice@example.com${text}`), false, text);
});

test('an address is compared as the relay reads it', () => {
  for (const address of [
    'alice@example.com',
    'ALICE@Example.COM.',
    '"alice"@example.com',
    '"al\\ice"@example.com',
  ])
    assert.equal(may(['alice@example.com'], address), true, address);
  for (const address of [
    'alice@example.com@evil.example',
    '"alice@example.com"@evil.example',
    'alice@evil.example',
    'alice+x@example.com',
    'alice@sub.example.com',
    'alice',
    'example.com',
    'alice@',
    '',
    'alice@example.com>',
    'alice\u200b@example.com',
  ])
    assert.equal(may(['alice@example.com'], address), false, address);
});

test('an international domain may be written in its own letters or in ASCII', () => {
  for (const pattern of ['müller.example', 'xn--mller-kva.example', 'a@Müller.example'])
    for (const address of ['a@müller.example', 'a@xn--mller-kva.example'])
      assert.equal(may([pattern], address), true, `${pattern} ${address}`);
  assert.equal(may(['*.müller.example'], 'a@müller.example'), false);
  assert.equal(may(['*.müller.example'], 'a@b.xn--mller-kva.example'), true);
});

test('without patterns nobody, and a pattern that is nothing makes no matcher', () => {
  assert.equal(may([], 'a@example.com'), false);
  for (const bad of ['', '*', '@', '@example.com', 'a@', '*.', 'a@b@c', 'exa mple.com', '*.*.example.com'])
    assert.equal(compileSenders(['ok.example', bad]), undefined, bad);
});
