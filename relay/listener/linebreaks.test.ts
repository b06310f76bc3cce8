import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { LineBreakGuard, LineNormalizer } from './linebreaks.ts';

function passes(chunks: readonly Buffer[]): boolean {
  const guard = new LineBreakGuard();
  return chunks.every((chunk) => guard.passes(chunk)) && guard.passesEnd();
}

/** Parts of one buffer, so that they begin at any offset. */
function cut(text: string, sizes: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...chunks, bytes.subarray(at)];
}

test('text passes exactly when every CR has its LF and every LF its CR, however it is cut', () => {
  const text = fc.array(fc.constantFrom('a', '.', '\t', 'abcde', 'äöü', '\r', '\n', '\r\n', '\r\n'), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(9), { maxLength: 12 }), (parts, sizes) => {
      const whole = parts.join('');
      const wanted = !/\r(?!\n)|(?<!\r)\n|\0/.test(whole);
      assert.equal(passes(cut(whole, sizes)), wanted);
    }),
    { numRuns: 2000 },
  );
});

function normalized(chunks: readonly Buffer[]): string {
  const normalizer = new LineNormalizer();
  return Buffer.concat([...chunks.map((chunk) => normalizer.push(chunk)), normalizer.end()]).toString();
}

test('what is normalized passes, however it is cut; what passes stays as it is', () => {
  const text = fc.array(fc.constantFrom('a', '.', 'abcde', 'äöü', '\r', '\n', '\r\n', '\n.\n', '\0'), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(9), { maxLength: 12 }), (parts, sizes) => {
      const whole = parts.join('');
      const result = normalized(cut(whole, sizes));
      assert.ok(passes([Buffer.from(result)]), JSON.stringify(result));
      assert.equal(result, normalized([Buffer.from(whole)]));
      if (passes([Buffer.from(whole)])) assert.equal(result, whole);
      assert.equal(result.replace(/\s/g, ''), whole.replace(/[\s\0]/g, ''));
    }),
    { numRuns: 2000 },
  );
});
