import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineBreakGuard } from './linebreaks.ts';

function passes(chunks: readonly Buffer[]): boolean {
  const guard = new LineBreakGuard();
  return chunks.every((chunk) => guard.passes(chunk)) && guard.passesEnd();
}

function cut(text: string, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(Buffer.from(text.slice(at, at + size)));
    at += size;
  }
  return [...chunks, Buffer.from(text.slice(at))];
}

test('text passes exactly when every CR has its LF and every LF its CR, however it is cut', () => {
  const text = fc.array(fc.constantFrom('a', '.', '\r', '\n', '\r\n', '\r\n'), { maxLength: 12 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(3), { maxLength: 12 }), (parts, sizes) => {
      const whole = parts.join('');
      const wanted = !/\r(?!\n)|(?<!\r)\n/.test(whole);
      assert.equal(passes(cut(whole, sizes)), wanted);
    }),
    { numRuns: 2000 },
  );
});
