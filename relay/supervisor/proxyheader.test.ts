import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readProxyHeader } from './proxyheader.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

const port = fc.integer({ min: 0, max: 65_535 });

const version1 = fc
  .oneof(
    fc.tuple(fc.constant('TCP4'), fc.ipV4(), fc.ipV4(), port, port),
    fc.tuple(fc.constant('TCP6'), fc.ipV6(), fc.ipV6(), port, port),
  )
  .map(([family, from, ...rest]) => ({
    bytes: Buffer.from(`PROXY ${[family, from, ...rest].join(' ')}\r\n`),
    from,
  }))
  .filter(({ bytes }) => bytes.length <= 107);

const version2 = fc
  .tuple(fc.constantFrom(4, 6), fc.uint8Array({ minLength: 36, maxLength: 60 }))
  .map(([family, body]) => {
    const rest = Buffer.from(family === 4 ? body.subarray(0, 12 + (body.length - 36)) : body);
    const fixed = Buffer.from([0x21, family === 4 ? 0x11 : 0x21, 0, rest.length]);
    return { bytes: Buffer.concat([SIGNATURE, fixed, rest]), from: '' };
  });

test('a whole header is read, and nothing behind it; every beginning of it waits for more', () => {
  fc.assert(
    fc.property(fc.oneof(version1, version2), fc.uint8Array(), fc.nat(), ({ bytes }, rest, cut) => {
      const header = readProxyHeader(Buffer.concat([bytes, rest]));
      assert.equal(header.kind, 'header');
      assert.equal(header.kind === 'header' && header.length, bytes.length);
      assert.notEqual(isIP((header.kind === 'header' && header.client?.address) || ''), 0);
      assert.deepEqual(readProxyHeader(bytes.subarray(0, cut % bytes.length)), { kind: 'more' });
    }),
  );
});

test('addresses come out as sockets report them', () => {
  const clientOf = (text: string) => {
    const header = readProxyHeader(Buffer.from(`PROXY ${text} 1 2\r\n`));
    return header.kind === 'header' ? header.client?.address : header.kind;
  };
  assert.equal(clientOf('TCP4 192.0.2.7 192.0.2.1'), '192.0.2.7');
  assert.equal(clientOf('TCP6 2001:DB8:0:0::7 ::1'), '2001:db8::7');
  assert.equal(clientOf('TCP6 ::ffff:192.0.2.7 ::1'), '192.0.2.7');
});

test('what is no header, or a wrong one, is invalid as soon as that is known', () => {
  const wrong = [
    'E',
    'PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n',
    'PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n',
    'PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n',
    'PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n',
    'PROXY TCP4 ::1 ::2 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n',
    'PROXY TCP5 192.0.2.7 192.0.2.1 1 2\r\n',
    'PROXY  TCP4 192.0.2.7 192.0.2.1 1 2\r\n',
    `PROXY ${'x'.repeat(120)}`,
  ].map((text) => Buffer.from(text));
  const v2 = (hex: string) => Buffer.concat([SIGNATURE, Buffer.from(hex, 'hex')]);
  wrong.push(v2('31110000'), v2('22110000'), v2('21110003aabbcc'), v2('2111ffff'), v2('21510000'));
  for (const bytes of wrong) assert.equal(readProxyHeader(bytes).kind, 'invalid', bytes.toString('latin1'));
});

test('whatever comes, it is an answer, and long waiting is bounded', () => {
  const beginnings = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from('PROXY '),
    SIGNATURE,
    Buffer.from('PROXY TCP4 '),
  );
  fc.assert(
    fc.property(beginnings, fc.uint8Array({ maxLength: 6_000 }), (beginning, rest) => {
      const bytes = Buffer.concat([beginning, rest]);
      const { kind } = readProxyHeader(bytes);
      if (bytes.length > 4_200) assert.notEqual(kind, 'more');
    }),
  );
});
