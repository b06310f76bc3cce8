import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Strangers } from './strangers.ts';

test('whatever comes, the room is bounded, and the newest of an address that has few is there', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 400 }), (addresses) => {
      const strangers = new Strangers();
      const open = new Map<number, string>();
      const held = (address: string) => [...open.values()].filter((one) => one === address).length;
      for (const [number, address] of addresses.map(String).entries()) {
        const others = new Map(open);
        open.set(number, address);
        strangers.add(address, () => open.delete(number));
        assert.ok(open.has(number), 'the newest is in');
        assert.ok(open.size <= 64 && held(address) <= 8);
        assert.equal(strangers.size, open.size);
        const [gone] = [...others].filter(([one]) => !open.has(one));
        const most = Math.max(
          0,
          ...[...others.values()].map((one) => [...others.values()].filter((a) => a === one).length),
        );
        if (gone) assert.ok(gone[1] === address || others.size === 64);
        if (gone && gone[1] !== address)
          assert.equal([...others.values()].filter((a) => a === gone[1]).length, most);
      }
    }),
    { numRuns: 50 },
  );
});

test('one that has proven itself takes no room any more', () => {
  const strangers = new Strangers();
  const out = strangers.add('a', () => assert.fail('it was in nobody’s way'));
  out();
  for (let count = 0; count < 8; count++) strangers.add('a', () => undefined);
  assert.equal(strangers.size, 8);
});
