import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { saysTlsNotRequired } from './tlsrequired.ts';

async function says(text: string, size = 1_000): Promise<boolean> {
  const bytes = Buffer.from(text, 'latin1');
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  const inPieces = await saysTlsNotRequired(Readable.from(chunks, { objectMode: false }));
  assert.equal(await saysTlsNotRequired(bytes), inPieces);
  return inPieces;
}

const AROUND = 'From: a@example.com\r\nSubject: hi\r\n';

test('the field counts in the header only, in any case, wherever the message is cut', async () => {
  const field = fc.constantFrom(
    'TLS-Required: No',
    'tls-required:no',
    'TLS-REQUIRED : NO (please)',
    'TLS-Required:\r\n no',
  );
  await fc.assert(
    fc.asyncProperty(field, fc.integer({ min: 1, max: 40 }), async (line, size) => {
      assert.equal(await says(`${AROUND}${line}\r\nTo: b@example.com\r\n\r\nbody\r\n`, size), true);
      assert.equal(await says(`${AROUND}\r\n${line}\r\n`, size), false);
      assert.equal(await says(`${AROUND}X-${line}\r\n\r\n`, size), false);
    }),
  );
});

test('another value says nothing', async () => {
  for (const value of ['Yes', 'None', 'No, thanks', '', 'N o', 'Nö'])
    assert.equal(await says(`TLS-Required: ${value}\r\n\r\nbody`), false, value);
});
