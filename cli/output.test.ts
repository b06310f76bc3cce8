import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { visible, visibleLines } from '#crds/visible.ts';
import fc from '#test/kit/property.ts';
import { formatJson, formatYaml } from './output.ts';

const HOSTILE = [
  '\x1b]0;x\x07',
  '\u009b2J',
  '\u202eevil',
  '\u2028',
  '\x7f',
  '- a: "b"\n',
  '#',
  '',
  'yes',
  '12',
];
const value = fc.array(
  fc.record({
    text: fc.array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string()), { maxLength: 4 }),
    count: fc.nat(),
  }),
  { maxLength: 4 },
);

test('JSON and YAML have nothing that a terminal obeys, and lose nothing of it', async () => {
  await fc.assert(
    fc.asyncProperty(value, async (rows) => {
      const plain = rows.map(({ text, count }) => ({ text: text.join(''), count }));
      const json = formatJson(plain);
      assert.equal(json, visible(json));
      assert.deepEqual(JSON.parse(json), plain);
      const yaml = await formatYaml(plain);
      assert.equal(yaml, visibleLines(yaml));
      assert.deepEqual(parse(yaml), plain);
    }),
  );
});
