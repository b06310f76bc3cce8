/** TLSA records against real certificates. What a handshake then proves: danechain.test.ts. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { matchChain, usableRecords } from './tlsa.ts';

const authority = await makeAuthority();
const anchor = new X509Certificate(authority.cert);
const leaf = new X509Certificate((await authority.issue(['mx.example.net'])).cert);
const own = new X509Certificate((await makePair('x.example', -5)).cert);
const stranger = new X509Certificate((await makeAuthority()).cert);

type Raw = Parameters<typeof usableRecords>[0][number];

function raw(certificate: X509Certificate, usage: number, selector: number, matching: number): Raw {
  const content =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  const digest = (name: string) => createHash(name).update(content).digest();
  const data = matching === 0 ? content : digest(matching === 1 ? 'sha256' : 'sha512');
  return { usage, selector, matching, data: data.toString('hex') };
}

/** "anchor" where OpenSSL has to verify the chain. */
function judge(chain: readonly X509Certificate[], ...records: Raw[]): string {
  const match = matchChain(chain, usableRecords(records));
  if (match.kind === 'none') return match.problem.cause;
  return match.kind === 'anchors' ? 'anchor' : match.kind;
}

for (const selector of [0, 1]) {
  for (const matching of [0, 1, 2]) {
    test(`3 ${selector} ${matching} matches the certificate alone, 2 ${selector} ${matching} its issuers alone`, () => {
      for (const certificate of [leaf, own])
        assert.equal(judge([certificate, anchor], raw(certificate, 3, selector, matching)), 'proven');
      assert.equal(judge([leaf, anchor], raw(stranger, 3, selector, matching)), 'tlsa-invalid');
      assert.equal(judge([leaf, anchor], raw(anchor, 3, selector, matching)), 'tlsa-invalid');
      const record = raw(anchor, 2, selector, matching);
      assert.equal(judge([leaf, anchor], record), 'anchor');
      assert.equal(judge([leaf, stranger, anchor], record), 'anchor');
      // The record may have the anchor whole.
      assert.equal(judge([leaf], record), matching === 0 ? 'anchor' : 'tlsa-invalid');
      // A trust anchor is no end entity.
      for (const certificate of [leaf, own])
        assert.equal(
          judge([certificate, certificate], raw(certificate, 2, selector, matching)),
          'tlsa-invalid',
        );
    });
  }
}

test('one of many records is enough, as in a roll-over, and no certificate proves nothing', () => {
  assert.equal(judge([leaf], raw(own, 3, 1, 1), raw(leaf, 3, 1, 1)), 'proven');
  assert.equal(judge([leaf, anchor], raw(own, 3, 1, 1), raw(anchor, 2, 0, 1)), 'anchor');
  assert.equal(judge([], raw(leaf, 3, 1, 1)), 'tlsa-invalid');
});

test('of two digests the stronger one counts, for each usage and selector', () => {
  const wrong = { ...raw(own, 3, 1, 2) };
  assert.equal(judge([leaf], raw(leaf, 3, 1, 1), wrong), 'tlsa-invalid');
  assert.equal(judge([leaf], raw(leaf, 3, 0, 1), wrong), 'proven');
  assert.equal(judge([leaf], raw(leaf, 3, 1, 0), wrong), 'proven');
});

test('records that no client can use', () => {
  const good = raw(leaf, 3, 1, 1);
  const unusable: Raw[] = [
    { ...good, usage: 0 },
    { ...good, usage: 1 },
    { ...good, usage: 4 },
    { ...good, usage: 255 },
    { ...good, selector: 2 },
    { ...good, matching: 3 },
    { ...good, matching: 2 },
    { ...good, data: good.data.slice(2) },
    { ...good, data: '' },
    { ...good, matching: 0 },
    { ...raw(leaf, 3, 0, 0), selector: 1 },
    { ...raw(leaf, 3, 1, 0), selector: 0 },
    { ...raw(leaf, 3, 0, 0), data: `${leaf.raw.toString('hex')}00` },
    { ...raw(leaf, 3, 0, 0), data: Buffer.from(leaf.toString()).toString('hex') },
  ];
  for (const record of unusable) assert.deepEqual(usableRecords([record]), [], JSON.stringify(record));
  assert.equal(usableRecords([...unusable, good]).length, 1);
});

test('whatever the DNS says, nothing throws, and only what matches proves', () => {
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(leaf.raw, anchor.raw, Buffer.from(leaf.toString())),
  );
  const small = fc.nat({ max: 4 });
  const record = fc.record({ usage: small, selector: small, matching: small, data });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), (records) => {
      const given = records.map(({ usage, selector, matching, data: bytes }) => ({
        usage,
        selector,
        matching,
        data: bytes.toString('hex'),
      }));
      assert.equal(judge([own], ...given), 'tlsa-invalid');
    }),
  );
});
