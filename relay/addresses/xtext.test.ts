import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { decodeXtext, encodeOctets, encodeXtext } from './xtext.ts';

/** As RFC 3461 section 4 has it. */
function encodeAll(octets: Uint8Array): string {
  return Array.from(octets, (octet) =>
    octet >= 0x21 && octet <= 0x7e && octet !== 0x2b && octet !== 0x3d
      ? String.fromCharCode(octet)
      : `+${octet.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}

test('whatever octets come in xtext, the same ones are sent, also from a record', () => {
  const text = fc.string({ unit: 'binary' }).map((some) => Buffer.from(some));
  const octets = fc.oneof(fc.uint8Array({ maxLength: 40 }), text);
  fc.assert(
    fc.property(octets, (some) => {
      const encoded = encodeAll(some);
      const kept: string = JSON.parse(JSON.stringify(decodeXtext(encoded)));
      assert.equal(encodeXtext(kept), encoded);
      assert.ok(encodeOctets(kept).isWellFormed());
    }),
  );
});

test('UTF-8 is text, and other octets are told in xtext', () => {
  assert.equal(decodeXtext('rfc822;j+C3+B6rg+2Bx'), 'rfc822;jörg+x');
  assert.equal(encodeOctets(decodeXtext('rfc822;j+F6rg+2Bx')), 'rfc822;j+F6rg+x');
  assert.equal(encodeOctets('😀'), '😀');
});
