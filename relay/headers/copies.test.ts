import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeWords } from 'postal-mime';
import { type Entry, makeAddressMap, makeTable } from '../addresses/addressmap.ts';
import { listOnce } from './compile.ts';
import { addCopies, renderOriginal, sendAllTo } from './copies.ts';
import type { Addressee } from './envelope.ts';

type Terms = Parameters<typeof addCopies>[1];

const mapOf = (...to: string[]) =>
  makeAddressMap([makeTable([{ address: '*', to, refuse: null }])], 'relay.example');
const mapWith = (entry: Entry) => makeAddressMap([{ find: () => entry, hasPatterns: true }], 'relay.example');
const one = (address: string): Addressee => ({ address });

function copied(terms: Partial<Terms>, ...to: Addressee[]) {
  const none = { senderBcc: undefined, recipientBcc: undefined, alwaysBcc: null };
  return addCopies({ from: 'a@x.example', to }, { ...none, ...terms });
}
function copies(terms: Partial<Terms>, ...to: Addressee[]) {
  const done = copied(terms, ...to);
  assert.equal(done.kind, 'changed');
  return done.kind === 'changed' ? done.to.to.slice(to.length) : [];
}
const addresses = (...all: Parameters<typeof copies>) => copies(...all).map(({ address }) => address);

test('a copy is no wish of the sender, and an address gets one, however it is written', () => {
  assert.deepEqual(copies({ alwaysBcc: 'log@z.example' }, one('b@y.example')), [
    { address: 'log@z.example', notify: ['NEVER'], isCopy: true },
  ]);
  for (const to of ['Log@z.example', '"log"@Z.example', 'log@z.example'])
    assert.deepEqual(
      addresses({ alwaysBcc: 'log@z.example', senderBcc: mapOf('LOG@z.example') }, one(to)),
      [],
    );
});

test('a target is read as that of any map: the domain alone, an international domain, no domain', () => {
  const senderBcc = mapOf('@archive.example', 'Box@Bücher.example', 'chief');
  assert.deepEqual(addresses({ senderBcc }, one('b@y.example')), [
    'a@archive.example',
    'Box@xn--bcher-kva.example',
    'chief@relay.example',
  ]);
});

test('a sender whose local part is read as routing has its copy all the same, without routing', () => {
  const senderBcc = mapOf('@archive.example');
  const none = { senderBcc, recipientBcc: undefined, alwaysBcc: null };
  for (const [from, copy] of [
    ['a%z.example@x.example', 'a=z.example@archive.example'],
    ['z.example!a@x.example', 'z.example=a@archive.example'],
    ['a:b@x.example', 'a=b@archive.example'],
    ['"a@z.example"@x.example', '"a=z.example"@archive.example'],
    ['"a\\\\b;,c"@x.example', '"a=b==c"@archive.example'],
    ['"a b"@x.example', '"a b"@archive.example'],
  ] as const) {
    const done = addCopies({ from, to: [one('b@y.example')] }, none);
    assert.deepEqual(
      done.kind === 'changed' && done.to.to.slice(1).map(({ address }) => address),
      [copy],
      from,
    );
  }
});

test('a recipient is looked up as the client gave it, each of those that became one', () => {
  const table = makeTable([
    { address: 'sales@y.example', to: ['log@z.example'], refuse: null },
    { address: 'info@y.example', to: ['chief@z.example'], refuse: null },
  ]);
  const recipientBcc = makeAddressMap([table], 'relay.example');
  const given = ['sales@y.example', 'info@y.example'];
  assert.deepEqual(addresses({ recipientBcc }, { address: 'ann@y.example', given }), [
    'log@z.example',
    'chief@z.example',
  ]);
});

test('of any number of addresses that became one, each is looked up', () => {
  const all = Array.from({ length: 150 }, (_, index) => one(`u${index}@y.example`));
  const [joined] = listOnce(all.map(({ address }) => ({ address: 'box@z.example', given: [address] })));
  const table = makeTable([{ address: 'u149@y.example', to: ['archive@w.example'], refuse: null }]);
  const recipientBcc = makeAddressMap([table], 'relay.example');
  assert.ok(joined);
  assert.deepEqual(addresses({ recipientBcc }, joined), ['archive@w.example']);
});

test('a copy that cannot be made keeps the message waiting', () => {
  for (const [what, map] of [
    ['a table that cannot be read', mapWith({ kind: 'unreadable' })],
    ['a refusal', mapWith({ kind: 'refused', text: 'No' })],
    ['routing', mapOf('log%z.example@y.example')],
    ['no address', mapOf('log@1.2.3.4')],
  ] as const)
    for (const side of ['senderBcc', 'recipientBcc'] as const)
      assert.deepEqual(
        copied({ [side]: map }, one('b@y.example')),
        { kind: 'refused', refusal: { cause: 'unreadable' } },
        `${side}: ${what}`,
      );
});

test('one box knows for whom the mail was, without the copies', () => {
  const boxed = (...to: Addressee[]) => sendAllTo({ from: 'a@x.example', to }, 'box@s.example').to;
  const copy = { address: 'log@z.example', isCopy: true };
  assert.deepEqual(boxed({ address: 'c@y.example', given: ['sales@y.example'] }, one('d@y.example'), copy), [
    { address: 'box@s.example', isCopy: true, given: ['sales@y.example', 'd@y.example'] },
  ]);
  assert.deepEqual(boxed(one('box@s.example')), [{ address: 'box@s.example', isCopy: true }]);
  assert.deepEqual(boxed(copy), [{ address: 'box@s.example', isCopy: true }]);
  assert.deepEqual(boxed(), []);
});

test('the header names in ASCII for whom the mail was, as a mail program shows it', () => {
  assert.equal(renderOriginal('c@y.example'), 'X-Original-To: c@y.example\r\n');
  for (const address of ['jörg@y.example', `${'漢'.repeat(240)}@y.example`]) {
    const field = renderOriginal(address);
    assert.match(field, /^X-Original-To: (?:[!-~]{1,61}\r\n\t)*[!-~]{1,61}\r\n$/);
    assert.equal(decodeWords(field.replaceAll('\r\n', '')), `X-Original-To: ${address}`);
  }
});
