import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readMailbox } from './address.ts';
import { type Entry, keyOf, makeAddressMap, makeTable, printKeyed, readKey } from './addressmap.ts';

type Given = { address: string; to: string[]; refuse: string | null };
const to = (address: string, ...targets: string[]): Given => ({ address, to: targets, refuse: null });

function find(address: string, ...tables: Given[][]): Entry | undefined {
  const mailbox = readMailbox(address);
  assert.ok(mailbox, address);
  return makeAddressMap(tables.map(makeTable), 'relay.example')?.(mailbox);
}
const first = (address: string, ...tables: Given[][]) => {
  const entry = find(address, ...tables);
  return entry?.kind === 'addresses' ? entry.to[0]?.replace('@relay.example', '') : entry?.kind;
};

test('the closest entry counts, wherever it stands', () => {
  const table = [
    to('*', 'all'),
    to('@*.example.com', 'below'),
    to('@*.b.example.com', 'deep'),
    to('@example.com', 'domain'),
    to('me@example.com', 'me'),
  ];
  assert.equal(first('me@example.com', table), 'me');
  assert.equal(first('you@example.com', table), 'domain');
  assert.equal(first('me@a.example.com', table), 'below');
  assert.equal(first('me@a.b.example.com', table), 'deep');
  assert.equal(first('me@b.example.com', table), 'below');
  assert.equal(first('me@example.org', table), 'all');
  assert.equal(first('me@[192.0.2.1]', table), 'all');
  assert.equal(find('me@example.org', table.slice(1)), undefined);
});

test('a target without a domain gets that of the relay, an address keeps its own', () => {
  const table = [to('a@x.example', 'root', 'b@y.example', '@z.example')];
  assert.deepEqual(find('a@x.example', table), {
    kind: 'addresses',
    to: ['root@relay.example', 'b@y.example', '@z.example'],
  });
});

test('of two tables the first counts, but a closer entry of the second counts more', () => {
  const [one, two] = [
    [to('a@x.example', '1'), to('@x.example', '1')],
    [to('a@x.example', '2'), to('b@x.example', '2')],
  ];
  assert.equal(first('a@x.example', one, two), '1');
  assert.equal(first('b@x.example', one, two), '2');
});

test('case, quotes, and the form of an international domain do not matter', () => {
  const table = [
    to('Jane.Doe@Bücher.Example', 'ascii'),
    to('"john doe"@x.example', 'quoted'),
    to('@MÜLLER.example', 'idn'),
  ];
  assert.equal(first('jane.doe@xn--bcher-kva.example', table), 'ascii');
  assert.equal(first('"JANE.doe"@bücher.example', table), 'ascii');
  assert.equal(first('"John Doe"@X.example', table), 'quoted');
  assert.equal(first('x@xn--mller-kva.example.', table), 'idn');
  assert.equal(first('x@müller.example', [to('@xn--mller-kva.example', 'idn')]), 'idn');
});

test('what can match no address is no key', () => {
  for (const text of ['', '@', '@*', '@*.', 'me', 'me@', '@a@b', '@1.2.3.4', '@a..b', 'a b@x.example', '**'])
    assert.equal(readKey(text), undefined, text);
});

test('without tables nothing is looked up', () =>
  assert.equal(makeAddressMap([], 'relay.example'), undefined));

/** The rule in words, over all entries: slow, and without keys. */
function findSlowly(address: string, tables: readonly Given[][]): string | undefined {
  const [local = '', domain = ''] = address.toLowerCase().split('@');
  const forms = [`${local}@${domain}`, `@${domain}`];
  const labels = domain.split('.');
  for (let at = 1; at < labels.length; at += 1) forms.push(`@*.${labels.slice(at).join('.')}`);
  for (const form of [...forms, '*'])
    for (const table of tables)
      for (const given of table) if (given.address.toLowerCase() === form) return given.to[0];
  return undefined;
}

test('as a plain search over all entries finds it', () => {
  const label = fc.constantFrom('a', 'B', 'c1');
  const domain = fc
    .array(label, { minLength: 1, maxLength: 4 })
    .map((labels) => [...labels, 'example'].join('.'));
  const local = fc.constantFrom('x', 'Y', 'x.y', 'z+1');
  const address = fc.tuple(local, domain).map((parts) => parts.join('@'));
  const pattern = fc.oneof(
    address,
    domain.map((text) => `@${text}`),
    domain.map((text) => `@*.${text}`),
    fc.constant('*'),
  );
  const table = fc
    .array(fc.tuple(pattern, fc.nat(1_000)), { maxLength: 12 })
    .map((rows) => rows.map(([given, n]) => to(given, `${n}@t.example`)));
  fc.assert(
    fc.property(fc.array(table, { minLength: 1, maxLength: 3 }), address, (tables, wanted) => {
      assert.equal(first(wanted, ...tables), findSlowly(wanted, tables));
    }),
    { numRuns: 2_000 },
  );
});

test('the key of a key is the same key, also of one printed as an address, and quotes inside a local part are part of it', () => {
  assert.equal(keyOf('"Victim"@example.com'), 'victim@example.com');
  const odd = [
    '"\\"victim\\""@example.com',
    '"a\\\\b"@example.com',
    '"x\\"y"@example.com',
    '"a b"@example.com',
    '"a@b"@example.com',
  ];
  const keys = odd.map(keyOf);
  assert.deepEqual(keys.map(keyOf), keys);
  assert.equal(new Set([...keys, keyOf('victim@example.com')]).size, odd.length + 1);
  const part = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom('a', 'B', '"', '\\', ' ', '@', '.'),
  });
  fc.assert(
    fc.property(part, (local) => {
      const key = keyOf(`"${local.replace(/["\\]/g, '\\$&')}"@example.com`);
      assert.equal(keyOf(key), key);
      assert.equal(keyOf(printKeyed(key)), key);
      assert.ok(readMailbox(printKeyed(key)), key);
    }),
  );
});
