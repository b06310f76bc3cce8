import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainToASCII } from 'node:url';
import { domainAt, domainOf } from '#crds/patterns.ts';
import fc from '#test/kit/property.ts';
import {
  hasDomain,
  isRouting,
  printMailbox,
  readDomain,
  readGivenMailbox,
  readMailbox,
  withPostmasterDomain,
  withSenderDomain,
} from './address.ts';

const good = (address: string, printed: string) =>
  test(`${address} is written as ${printed}`, () => {
    const mailbox = readMailbox(address);
    assert.ok(mailbox);
    assert.equal(printMailbox(mailbox), printed);
  });
const bad = (address: string) =>
  test(`${JSON.stringify(address)} is no address`, () => assert.equal(readMailbox(address), undefined));

good('me@example.com', 'me@example.com');
good('Me.And+You@Example.COM', 'Me.And+You@example.com');
good('me@example.com.', 'me@example.com');
good('me@müller.example', 'me@xn--mller-kva.example');
good('me@xn--mller-kva.example', 'me@xn--mller-kva.example');
good('jürgen@example.com', 'jürgen@example.com');
good('me@[192.0.2.1]', 'me@[192.0.2.1]');
good('me@[IPv6:2001:db8::1]', 'me@[ipv6:2001:db8::1]');
good('prvs=0123=me@example.com', 'prvs=0123=me@example.com');
good('me@host_1.example', 'me@host_1.example');
good('name.@host.example', '"name."@host.example');
good('na..me@host.example', '"na..me"@host.example');
good('"john doe"@host.example', '"john doe"@host.example');
good('"john.doe"@host.example', '"john.doe"@host.example');
good('"a\\"b\\\\c\\d"@host.example', '"a\\"b\\\\cd"@host.example');
good('"a@b"@host.example', '"a@b"@host.example');
good('a:b@host.example', '"a:b"@host.example');
good('root', 'root');
good('"www data"', '"www data"');

for (const address of [
  '',
  '@example.com',
  'me@',
  '""@example.com',
  'user@victim.example@ours.example',
  'a b@ours.example',
  'a\\b@ours.example',
  'a,b@ours.example',
  '"a<b>"@ours.example',
  '"open@ours.example',
  '"a" b@ours.example',
  'm\uFFFDe@example.com',
  'm\u200Be@example.com',
  '"a\rb"@example.com',
  'me@example.com\n',
  'me@exa mple.com',
  'me@-example.com',
  'me@example-.com',
  'me@example..com',
  'me@example.com..',
  'me@192.0.2.1',
  'me@0x7f.1',
  'me@2130706433',
  'me@[192.0.2]',
  'me@[IPv6:192.0.2.1]',
  'me@[192.0.2.1',
  `me@${'x'.repeat(64)}.example`,
  'me@x.example/xn--a.evil.example',
  'me@x.example?é.evil.example',
  'me@x.example#é',
  'me@x.example\\é',
  'me@x.example:25é',
  'me@%65vil.exämple',
  'me@é\tvil.example',
  'me@x.example\uff0fé',
  'me@x.example\uff05e9',
])
  bad(address);

test('what other servers could read as a way to somewhere else is routing, in quotes too', () => {
  for (const local of ['a%b', 'a!b', '"a@b"', '"a%b"', 'a:b', '"a\\\\b"', '"a,b"'])
    assert.ok(isRouting(readMailbox(`${local}@ours.example`) ?? { local: '' }), local);
  for (const local of ['a', 'a.b', '"a b"', 'a..b', "o'hara", 'a+b=c'])
    assert.ok(!isRouting(readMailbox(`${local}@ours.example`) ?? { local: '%' }), local);
});

test('what a client gives has 253 characters at most, and what the relay makes of it can be read', () => {
  const long = (count: number, end: string) => 'x'.repeat(count - end.length) + end;
  assert.equal(readGivenMailbox(long(254, '@example.com')), undefined);
  for (const given of [long(253, '@example.com'), long(253, '..b@example.com'), long(253, 'x')]) {
    const mailbox = readGivenMailbox(given);
    assert.ok(mailbox);
    const written = withSenderDomain(printMailbox(mailbox), 'relay.example');
    assert.equal(readMailbox(written)?.local, mailbox.local);
  }
});

test('what is written is read as the same mailbox, and is one path in angle brackets', () => {
  const local = fc.string({
    unit: fc.constantFrom('a', 'B', '.', ' ', '"', '\\', '@', '%', 'ü', ','),
    minLength: 1,
  });
  fc.assert(
    fc.property(local, (text) => {
      const mailbox = { local: text, isQuoted: true, domain: 'host.example' };
      const printed = printMailbox(mailbox);
      assert.deepEqual(readMailbox(printed), mailbox);
      const plain = readMailbox(printMailbox({ ...mailbox, isQuoted: false }));
      assert.deepEqual([plain?.local, plain?.domain], [text, mailbox.domain]);
      assert.match(printed, /^(?:[^\s"@,]+|"(?:[^"\\]|\\.)*")@host\.example$/);
    }),
    { numRuns: 1000 },
  );
});

test('a domain is read as IDNA has it, or not at all', () => {
  const label = fc.constantFrom(
    'a',
    'xn--nxasmq6b',
    'xn--',
    '0x7f',
    '1',
    '10',
    'a-',
    '-b',
    'ex-ample',
    'com',
    'ä',
    '_x',
    '',
  );
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
      const domain = labels.join('.');
      const read = readMailbox(`a@${domain}`)?.domain;
      if (read === undefined) return;
      assert.ok(
        read.split('.').every((part) => /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(part)),
        read,
      );
      const known = domainToASCII(domain.replace(/\.$/, ''));
      if (known !== '') assert.equal(read, known);
    }),
    { numRuns: 1000 },
  );
});

test('no character of ASCII beside letters, digits, dots, hyphens and underscores is in a domain, whatever is beside it', () => {
  const part = fc.constantFrom('x.example', 'é', 'xn--nxasmq6b', '.', 'evil', '\u3002', '１');
  const ascii = fc.integer({ min: 0, max: 127 }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.array(part), ascii, fc.array(part), (before, character, after) => {
      const domain = readDomain([...before, character, ...after].join(''));
      assert.ok(domain === undefined || /[a-z0-9._-]/i.test(character), `${character} ${domain}`);
      assert.ok(domain === undefined || domain.length <= 253);
    }),
    { numRuns: 2000 },
  );
  assert.equal(readDomain(`${Array(40).fill('é'.repeat(5)).join('.')}.example`), undefined);
});

test('the domain of a printed address is that of its mailbox, and a quoted local part has none', () => {
  const local = fc.string({ unit: fc.constantFrom('a', '.', ' ', '"', '\\', '@', 'ü'), minLength: 1 });
  fc.assert(
    fc.property(
      local,
      fc.boolean(),
      fc.constantFrom('', 'host.example', '[192.0.2.1]'),
      (text, isQuoted, domain) => {
        const printed = printMailbox({ local: text, isQuoted, domain });
        assert.equal(hasDomain(printed), readMailbox(printed)?.domain !== '');
        assert.equal(printed.slice(domainAt(printed)), domain === '' ? printed : domain);
        if (domain !== '') assert.equal(domainOf(printed), domain);
        const whole = readMailbox(withSenderDomain(printed, 'relay.example'));
        assert.deepEqual([whole?.local, whole?.domain], [text, domain || 'relay.example']);
      },
    ),
    { numRuns: 1000 },
  );
  for (const address of ['postmaster', 'Postmaster', '"postmaster"'])
    assert.equal(readMailbox(withPostmasterDomain(address, ['y.example']))?.domain, 'y.example', address);
});
