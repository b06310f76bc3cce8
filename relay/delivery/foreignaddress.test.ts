import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { isForeign } from './foreignaddress.ts';

const NEVER = [
  '127.0.0.1',
  '127.255.0.3',
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '224.0.0.1',
  '239.255.255.250',
  '255.255.255.255',
  '::',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '::FFFF:7f00:1',
  '::127.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::7f00:0001',
  '::ffff:0:127.0.0.1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '::ffff:169.254.169.254',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1',
  'ff02::1',
  'localhost',
  '',
];
const MAY = [
  '192.0.2.1',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '2001:db8::1',
  'fd00::25',
  '::ffff:192.0.2.1',
  '64:ff9b::192.0.2.1',
  '2002:c000:201::1',
];

test('addresses of this machine and this link are never a stranger, in any notation', () => {
  assert.deepEqual(NEVER.filter(isForeign), []);
});

test('others may be, private ones included', () => {
  assert.deepEqual(
    MAY.filter((address) => !isForeign(address)),
    [],
  );
});

test('an IPv4 address is judged alike in whatever IPv6 address it is embedded', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const expected = isForeign(address);
      for (const written of [`::ffff:${address}`, `64:ff9b::${address}`])
        assert.equal(isForeign(written), expected, written);
    }),
  );
});
