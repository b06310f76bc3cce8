import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { hideAddresses } from './addresses.ts';

const hash = (address: string) => `#${address.length}`;

/** Field, and what is left of it. */
const DOMAIN: readonly [string, string | string[], string | string[]][] = [
  ['from', 'jane.doe@example.com', '@example.com'],
  ['from', '', ''],
  ['from', '"jane doe"@example.com', '@example.com'],
  ['to', ['a@x.example', '"b@c"@y.example'], ['@x.example', '@y.example']],
  ['to', 'j\u00fcrgen@m\u00fcller.example', '@m\u00fcller.example'],
  ['address', 'jane', '***'],
  ['address', '"jane@laptop"', '***'],
  ['from', '"jane@laptop"@x.example', '@x.example'],
  ['address', 'postmaster', 'postmaster'],
  ['address', 'jane@[192.0.2.1]', '@[192.0.2.1]'],
  ['address', '@hop.example:jane@example.com', '@example.com'],
  ['address', 'jane@', '@'],
  ['user', 'jane@example.com', '@example.com'],
  ['login', 'backup', 'backup'],
  ['helo', 'jane@laptop', '@laptop'],
  ['reply', '550 5.1.1 <jane@example.com>: no such user', '550 5.1.1 <@example.com>: no such user'],
  ['reason', '"jane doe"@example.com, joe@x.example are full', '@example.com, @x.example are full'],
  ['reasons', ['mx: bounce+jane=x.example@lists.example'], ['mx: @lists.example']],
  ['message', 'no address', 'no address'],
  ['client', '2001:db8::1', '2001:db8::1'],
];

for (const [name, before, after] of DOMAIN)
  test(`of ${name} ${JSON.stringify(before)} the domain is left`, () => {
    assert.deepEqual(hideAddresses({ [name]: before }, 'Domain', hash), { [name]: after });
    assert.deepEqual(hideAddresses({ [name]: before }, 'Full', hash), { [name]: before });
  });

test('a next hop that says the local part alone tells nobody', () => {
  const fields = {
    to: 'jane+news@example.com',
    reply: '550 Jane: no user JANE+news, try janet',
    hop: 'jane:25',
  };
  assert.deepEqual(hideAddresses(fields, 'Domain', hash), {
    to: '@example.com',
    reply: '550 ***: no user ***, try janet',
    hop: 'jane:25',
  });
});

test('a hash stands for the local part, in fields and in texts alike', () => {
  const fields = { to: ['jane@example.com', 'joe'], reason: 'of jane@example.com', bytes: 3 };
  assert.deepEqual(hideAddresses(fields, 'Hash', hash), {
    to: ['#16@example.com', '#3'],
    reason: 'of #16@example.com',
    bytes: 3,
  });
});

test('no local part is left, whatever stands around it', () => {
  const local = fc.stringMatching(/^[a-z][a-z0-9.!#$%&'*+/=?^_`{|}~-]{5,20}[a-z]$/);
  const around = fc.stringMatching(/^[ <>()"',;:a-f]{0,10}$/);
  const name = fc.constantFrom('reply', 'helo', 'reason', 'from', 'command');
  fc.assert(
    fc.property(local, around, around, name, (part, before, after, field) => {
      const shown = hideAddresses({ [field]: `${before}${part}@example.com${after}` }, 'Domain', hash);
      assert.ok(!JSON.stringify(shown).includes(part));
    }),
  );
});
