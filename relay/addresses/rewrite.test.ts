import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { makeAddressMap, makeTable } from './addressmap.ts';
import { type AddressedAs, type Rewritten, rewriteAddress } from './rewrite.ts';

type Rows = Readonly<Record<string, string | readonly string[]>>;

/** A list is an alias, and a text is a refusal. */
function rewrite(address: string, rows: Rows, as: AddressedAs = 'recipient'): Rewritten {
  const entries = Object.entries(rows).map(([from, to]) =>
    typeof to === 'string' ? { address: from, to: [], refuse: to } : { address: from, to, refuse: null },
  );
  const map = makeAddressMap([makeTable(entries)], 'origin.example');
  assert.ok(map);
  return rewriteAddress(map, address, as);
}
function becomes(address: string, rows: Rows, ...to: string[]) {
  assert.deepEqual(rewrite(address, rows), { kind: 'addresses', to });
}
function isRefused(address: string, rows: Rows, cause: string) {
  const done = rewrite(address, rows);
  assert.equal(done.kind === 'refused' && done.refusal.cause, cause);
}

test('an address without an entry stays as it is written', () => {
  becomes('Me@Example.com', { 'you@example.com': ['x@y.example'] }, 'Me@Example.com');
});

test('a target is written as RFC 5321 has it', () => {
  becomes('a@b.example', { '*': ['Jane..Doe@Bücher.example'] }, '"Jane..Doe"@xn--bcher-kva.example');
});

test('@domain keeps the local part', () => {
  const rows = { '@*.example.com': ['@example.com'], '@old.example': ['@new.example', 'log@x.example'] };
  becomes('Root@web1.example.com', rows, 'Root@example.com');
  becomes('"a b"@old.example', rows, '"a b"@new.example', 'log@x.example');
});

test('an alias of aliases is expanded, and each address comes once', () => {
  const rows = {
    'all@x.example': ['a@x.example', 'team@x.example', 'A@X.example'],
    'team@x.example': ['b@x.example', 'a@x.example'],
  };
  becomes('all@x.example', rows, 'a@x.example', 'b@x.example');
});

test('an address that stands for itself is final, so a mailbox can have a copy elsewhere', () => {
  becomes(
    'me@x.example',
    { 'ME@x.example': ['me@x.example', 'me@y.example'] },
    'me@x.example',
    'me@y.example',
  );
  becomes('a@x.example', { '@x.example': ['@x.example'], '*': ['all@y.example'] }, 'a@x.example');
  becomes('a@x.example', { '*': ['all@y.example'] }, 'all@y.example');
  const rows = { 'a@x.example': ['b@y.example'], '*': ['all@y.example'] };
  becomes('a@x.example', rows, 'b@y.example');
  becomes('b@y.example', rows, 'all@y.example');
});

test('a circle, a chain without end and an alias without measure are refused', () => {
  isRefused('a@x.example', { 'a@x.example': ['b@x.example'], 'b@x.example': ['a@x.example'] }, 'loop');
  isRefused('a@x.example', { '@x.example': ['@y.example'], '@y.example': ['@x.example'] }, 'loop');
  const chain = (length: number) =>
    Object.fromEntries(Array.from({ length }, (_, n) => [`${n}@x.example`, [`${n + 1}@x.example`]]));
  becomes('0@x.example', chain(10), '10@x.example');
  isRefused('0@x.example', chain(11), 'loop');
  const many = (count: number) => ({
    'all@x.example': Array.from({ length: count }, (_, n) => `${n}@y.example`),
  });
  assert.equal(rewrite('all@x.example', many(999)).kind, 'addresses');
  assert.equal(rewrite('all@x.example', many(1_000)).kind, 'addresses');
  isRefused('all@x.example', many(1_002), 'loop');
  const nested = (count: number) => ({
    'all@x.example': ['one@x.example', 'two@x.example'],
    'one@x.example': Array.from({ length: count / 2 }, (_, n) => `${n}@y.example`),
    'two@x.example': Array.from({ length: count / 2 }, (_, n) => `${n}@z.example`),
  });
  assert.equal(rewrite('all@x.example', nested(1_000)).kind, 'addresses');
  isRefused('all@x.example', nested(1_002), 'loop');
});

test('a refusal has its text, and a refused member of an alias gets nothing', () => {
  assert.deepEqual(rewrite('gone@x.example', { 'gone@x.example': '5.1.6 Moved' }), {
    kind: 'refused',
    refusal: { cause: 'refused', text: '5.1.6 Moved' },
  });
  isRefused('alias@x.example', { 'gone@x.example': 'No', 'alias@x.example': ['gone@x.example'] }, 'refused');
  const rows = { 'gone@x.example': 'No', 'all@x.example': ['gone@x.example', 'a@x.example'] };
  becomes('all@x.example', rows, 'a@x.example');
});

test('an alias of nothing that can be relayed is refused', () => {
  for (const target of ['a%b@x.example', 'a@1.2.3.4', '@b@c'])
    isRefused('all@x.example', { 'all@x.example': [target] }, 'nothing');
});

/** Legal in a local part, and signs of a way to somewhere else in a recipient. */
const ROUTED = [
  'a%z.example',
  'z.example!a',
  'a:b',
  '"a@z.example"',
  '"a b%c"',
  '"a,b;c"',
  '"a\\\\b"',
  'bounce+u=z.example%1',
];

test('a sender keeps its local part, whatever a recipient may not have', () => {
  for (const local of ROUTED) {
    // Characters that need quotes get them.
    const kept = /^["\w%!+=.]+$/.test(local) || local.startsWith('"') ? local : `"${local}"`;
    for (const [rows, to] of [
      [{ '@old.example': ['@new.example'] }, `${kept}@new.example`],
      [{ '@old.example': ['@old.example'] }, `${kept}@old.example`],
      [{ '@old.example': ['@mid.example'], '@mid.example': ['@new.example'] }, `${kept}@new.example`],
      [{ '*': ['relay@new.example'] }, 'relay@new.example'],
      [{ '*': [`${local}@new.example`] }, `${kept}@new.example`],
    ] as const)
      assert.deepEqual(rewrite(`${local}@old.example`, rows, 'sender'), { kind: 'addresses', to: [to] });
  }
});

test('what is no address is none for a sender either', () => {
  for (const target of ['a@1.2.3.4', '@b@c', 'a b@x.example']) {
    const done = rewrite('a%b@old.example', { '*': [target] }, 'sender');
    assert.equal(done.kind === 'refused' && done.refusal.cause, 'nothing', target);
  }
});

test('no recipient leads to somewhere else, by its local part or by a target', () => {
  for (const local of ROUTED) {
    isRefused(`${local}@old.example`, { '@old.example': ['@new.example'] }, 'nothing');
    isRefused(`${local}@old.example`, { '@old.example': ['@old.example'] }, 'nothing');
    isRefused('a@old.example', { '@old.example': [`${local}@new.example`] }, 'nothing');
    becomes('a@old.example', { '@old.example': [`${local}@new.example`, 'b@new.example'] }, 'b@new.example');
  }
});

test('any map comes to an end, with bounded work', () => {
  const address = fc.integer({ min: 0, max: 30 }).map((n) => `${n}@x.example`);
  const rows = fc.dictionary(address, fc.array(address, { minLength: 1, maxLength: 31 }), { maxKeys: 31 });
  fc.assert(
    fc.property(rows, address, (map, start) => {
      const done = rewrite(start, map);
      if (done.kind === 'refused') return;
      assert.equal(new Set(done.to).size, done.to.length);
      for (const to of done.to) assert.ok(map[to] === undefined || map[to].includes(to) || to === start, to);
    }),
    { numRuns: 500 },
  );
});
