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
  'fec0::1',
  'feff::1',
  '64:ff9b:1::127.0.0.1',
  '64:ff9b:1:fffe::127.0.0.1',
  '64:ff9b:1:7f00:0:100::',
  '64:ff9b:1:a9fe:a9:fe00::',
  '64:ff9b:1::',
  // Prefixes of 56 and of 64 bits.
  '64:ff9b:1:7f:0:1::',
  '64:ff9b:1:227f:0:1::',
  '64:ff9b:1:0:7f:0:100::',
  '64:ff9b:1:2222:a9:fea9:fe00::',
  '2001:db8::5efe:127.0.0.1',
  '2001:db8::200:5efe:127.0.0.1',
  '2001:0:4136:e378:8000:63bf:80ff:fffe',
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
  '64:ff9b:1::192.0.2.1',
  '64:ff9b:1:fffe::192.0.2.1',
  '64:ff9b:1:c000:2:100::',
  '64:ff9b:1:c0:0:201::',
  '64:ff9b:1:0:c0:2:100::',
  '2001:db8::5efe:192.0.2.1',
  '2001:db8::200:5efe:192.0.2.1',
  '2001:0:4136:e378:8000:63bf:3fff:fdfe',
  'ff0::1',
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
      const forms = ['::ffff:', '64:ff9b::', '2001:db8::5efe:', '2001:db8::200:5efe:'];
      for (const written of forms.map((form) => `${form}${address}`))
        assert.equal(isForeign(written), expected, written);
    }),
  );
});
