import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Key, makeAddressMap } from './addressmap.ts';
import { openTable, TableBuilder } from './tablefile.ts';
import { readTable } from './tabletext.ts';

function build(text: string) {
  const builder = new TableBuilder();
  let leftOut = 0;
  for (const line of readTable(text)) {
    if (line.kind === 'fault') return line;
    if (line.kind === 'entry') builder.add(line.key, line.entry);
    if (line.kind === 'left out') leftOut += 1;
  }
  return { kind: 'table' as const, ...builder.finish(), leftOut };
}

function open(text: string) {
  const built = build(text);
  assert.equal(built.kind, 'table', JSON.stringify(built));
  const table = built.kind === 'table' ? openTable(built.bytes) : undefined;
  assert.ok(table && built.kind === 'table');
  const { entries, leftOut } = built;
  return { whole: table, table: (key: string) => table.find(new Key(key)), entries, leftOut };
}
const to = (...addresses: string[]) => ({ kind: 'addresses', to: addresses });

test('comments, empty lines, folded lines, commas and carriage returns, as with Postfix', () => {
  const { table, entries, leftOut } = open(
    '# a comment\n\nSales@Example.com  ann@example.com,\n# in between\n\tbob@example.com carl@example.com\r\n' +
      '  # another\r\n@old.example\t@new.example\n"john doe"@x.example "j d"@y.example, "a,b"@y.example\n* REJECT 5.1.1 Nobody\n',
  );
  assert.deepEqual([entries, leftOut], [4, 0]);
  assert.deepEqual(table('sales@example.com'), to('ann@example.com', 'bob@example.com', 'carl@example.com'));
  assert.deepEqual(table('@old.example'), to('@new.example'));
  assert.deepEqual(table('john doe@x.example'), to('"j d"@y.example', '"a,b"@y.example'));
  assert.deepEqual(table('*'), { kind: 'refused', text: '5.1.1 Nobody' });
  assert.equal(table('nobody@example.com'), undefined);
});

test('a table of addresses alone is searched for no pattern', ({ mock }) => {
  const hashed = mock.getter(Key.prototype, 'hashed');
  const texts = ['a@b.example c@d.example\n', 'e@b.example c@d.example\n'];
  const find = (tables: readonly string[]) => {
    const map = makeAddressMap(
      tables.map((text) => open(text).whole),
      'relay.example',
    );
    assert.equal(map?.({ local: 'x', isQuoted: false, domain: 'b.example' }), undefined);
    return hashed.mock.callCount();
  };
  assert.equal(find(texts), 2, 'the address in each table');
  assert.equal(find([...texts, '@y.example c@d.example\n']), 2 + 3 + 3, 'its three patterns in the last one');
});

test('local users and virtual domains are left out and counted', () => {
  const { entries, leftOut } = open('root ann@example.com\nexample.com anything\na@b.example c@d.example\n');
  assert.deepEqual([entries, leftOut], [1, 2]);
});

test('of two entries with one key the first counts', () => {
  assert.deepEqual(
    open('a@b.example x@y.example\nA@B.example z@y.example\n').table('a@b.example'),
    to('x@y.example'),
  );
});

test('a refusal is one printable line', () => {
  const { table } = open(`a@b.example REJECT\nc@b.example reject ü\x07${'x'.repeat(300)}\n`);
  assert.deepEqual(table('a@b.example'), { kind: 'refused', text: 'Address refused' });
  const long = table('c@b.example');
  assert.ok(long?.kind === 'refused' && /^\?\?x{198}$/.test(long.text));
});

test('a user without a domain is a target, whose domain comes with the look-up', () => {
  const { table } = open('postmaster@b.example root, jörg\n');
  assert.deepEqual(table('postmaster@b.example'), to('root', 'jörg'));
});

test('the fault of a comment behind an entry says what is wrong', () => {
  const built = build('a@b.example c@d.example # note\n');
  assert.equal(built.kind === 'fault' && built.reason, 'a comment needs a line of its own');
});

for (const [what, text] of [
  ['no value', 'ok@b.example a@b.example\na@b.example\n'],
  ['a value of blanks', 'ok@b.example a@b.example\na@b.example ,  ,\n'],
  ['a comment behind an entry', 'ok@b.example a@b.example\na@b.example c@d.example # note\n'],
  ['a list of a file', 'ok@b.example a@b.example\na@b.example :include:/etc/list\n'],
  ['a quoted user without a domain', 'ok@b.example a@b.example\na@b.example "c@d.example"\n'],
  ['a command', 'ok@b.example a@b.example\na@b.example |/bin/sh\n'],
  ['a key that is none', 'ok@b.example a@b.example\na@@b.example c@d.example\n'],
] as const)
  test(`${what} is a fault with its line`, () => {
    const built = build(text);
    assert.equal(built.kind === 'fault' && built.line, 2);
  });

test('a file that is cut short, empty or foreign is no table', () => {
  const built = build('a@b.example c@d.example\n');
  assert.ok(built.kind === 'table');
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(64),
    built.bytes.subarray(0, -1),
    Buffer.from('# text\n'.repeat(9)),
  ])
    assert.equal(openTable(bytes), undefined);
});

test('every entry of any table is found, and no other', () => {
  const local = fc.stringMatching(/^[a-z0-9.+üé_-]{1,12}$/).filter((text) => !text.startsWith('#'));
  const address = fc
    .tuple(local, fc.constantFrom('a.example', 'b.example', 'c.d.example'))
    .map((parts) => parts.join('@'));
  const rows = fc.uniqueArray(fc.tuple(address, fc.array(address, { minLength: 1, maxLength: 3 })), {
    selector: ([key]) => key,
    maxLength: 60,
  });
  const fold = fc.constantFrom(' ', '\t', ', ', ',\n  ', '\n# x\n\t');
  fc.assert(
    fc.property(rows, fold, fc.array(address, { maxLength: 10 }), (given, between, others) => {
      const text = given.map(([key, targets]) => `${key} ${targets.join(between)}\n`).join('');
      const { table, entries } = open(text);
      assert.equal(entries, given.length);
      for (const [key, targets] of given) assert.deepEqual(table(key), to(...targets));
      for (const other of others)
        if (!given.some(([key]) => key === other)) assert.equal(table(other), undefined);
    }),
    { numRuns: 300 },
  );
});

test('100,000 entries take less than 12 MB', () => {
  const line = (n: number) =>
    `person.number.${n}@department${n % 100}.example.com mailbox-${n}@store.example.com\n`;
  const text = Array.from({ length: 100_000 }, (_, n) => line(n)).join('');
  const built = build(text);
  assert.ok(built.kind === 'table');
  assert.equal(built.entries, 100_000);
  assert.ok(built.bytes.length < 12e6, `${built.bytes.length}`);
  assert.deepEqual(
    openTable(built.bytes)?.find(new Key('person.number.99999@department99.example.com')),
    to('mailbox-99999@store.example.com'),
  );
});

test('a line that is too long for the patterns is a fault, as it stands and by lines that go on with it', () => {
  const long = (text: string) => text.repeat(Math.ceil(2 ** 25 / text.length));
  const texts = [
    `"${long('a')}`,
    `"${long('a')}"@example.com ann@example.com`,
    `sales@example.com ${long('"a')}`,
    `sales@example.com ann@example.com\n${long(' ann@example.com\n')}`,
  ];
  const reason = 'it is longer than 1048576 characters';
  for (const text of texts) assert.deepEqual(build(`# one\n${text}`), { kind: 'fault', line: 2, reason });
});

test('a caller can stop after each line, also of those that have no entry', () => {
  for (const text of ['\n', '# nothing\n', ' bob@example.com\n'])
    assert.ok([...readTable(`sales@example.com ann@example.com\n${text.repeat(100)}`)].length > 100, text);
});
