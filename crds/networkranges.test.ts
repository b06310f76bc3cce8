/** Networks as ranges: which addresses they have, held against what the relay asks, and when they are nobody's. */
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { common, isWide, publicNetworks, rangesOf } from './networkranges.ts';
import { addNetwork, listCovers } from './networks.ts';

const four = fc.ipV4();
const six = fc.ipV6();
const network = fc.oneof(
  fc.tuple(four, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(six, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(four, fc.integer({ min: 90, max: 128 })).map(([address, bits]) => `::ffff:${address}/${bits}`),
  four,
  six,
);

test('ranges have the addresses that the relay takes for those of the networks', () => {
  fc.assert(
    fc.property(fc.array(network, { maxLength: 4 }), fc.oneof(four, six), (networks, address) => {
      const list = new BlockList();
      for (const one of networks) addNetwork(one, list);
      assert.equal(common(rangesOf(networks), rangesOf([address])).length > 0, listCovers(list, address));
    }),
  );
});

for (const [networks, wide] of [
  [['0.0.0.0/0'], true],
  [['0.0.0.0/1'], true],
  [['0.0.0.0/00'], true],
  [['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2', '192.0.0.0/2'], true],
  [['::ffff:0.0.0.0/96'], true],
  [['::/0'], true],
  [['::/64'], true],
  [['2000::/3'], true],
  [['2a00::/12'], true],
  [Array.from({ length: 64 }, (_, n) => `${n + 16}.0.0.0/8`), true],
  [Array.from({ length: 16 }, (_, n) => `2a00:${n.toString(16)}00::/24`), false],
  [['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8'], false],
  [['fc00::/7', 'fe80::/10', '::1'], false],
  [['16.0.0.0/8', '17.0.0.0/8', '2001:db8::/32'], false],
  [['192.0.2.0/24', '192.0.2.0/24'], false],
  [[], false],
] as const)
  test(`${networks.slice(0, 4).join(' ') || 'nothing'} is ${wide ? 'too much for anybody' : 'what somebody may have'}`, () => {
    assert.equal(isWide(rangesOf(networks)), wide);
  });

test('networks with public addresses are named, the largest first', () => {
  assert.deepEqual(publicNetworks(['10.0.0.0/8', '192.0.2.0/24', '0.0.0.0/1', '2000::/3', 'fc00::/7']), [
    '2000::/3',
    '0.0.0.0/1',
    '192.0.2.0/24',
  ]);
});
