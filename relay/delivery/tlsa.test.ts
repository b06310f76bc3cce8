/** TLSA records against real chains. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { judgeChain, usableRecords } from './tlsa.ts';

const HOST = 'mx.example.net';
const authority = await makeAuthority();
const anchor = new X509Certificate(authority.cert);
const leafFor = async (...args: Parameters<typeof authority.issue>) =>
  new X509Certificate((await authority.issue(...args)).cert);
const leaf = await leafFor([HOST]);
const expired = await leafFor([HOST], { from: -30, until: -1 });
const early = await leafFor([HOST], { from: 1, until: 30 });
const elsewhere = await leafFor(['mx.other.example']);
const wildcard = await leafFor(['*.example.net']);
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

function judge(chain: readonly X509Certificate[], ...records: Raw[]): string {
  const problem = judgeChain(chain, usableRecords(records), [HOST], new Date());
  return problem === undefined ? 'proven' : problem.cause;
}

for (const selector of [0, 1]) {
  for (const matching of [0, 1, 2]) {
    test(`DANE-EE 3 ${selector} ${matching}: the certificate alone counts, not its name and not its dates`, () => {
      for (const certificate of [leaf, expired, early, elsewhere, own])
        assert.equal(judge([certificate], raw(certificate, 3, selector, matching)), 'proven');
      assert.equal(judge([leaf, anchor], raw(elsewhere, 3, selector, matching)), 'tlsa-invalid');
      assert.equal(judge([leaf, anchor], raw(anchor, 3, selector, matching)), 'tlsa-invalid');
    });

    test(`DANE-TA 2 ${selector} ${matching}: a chain to the anchor, with name and dates`, () => {
      const record = raw(anchor, 2, selector, matching);
      assert.equal(judge([leaf, anchor], record), 'proven');
      assert.equal(judge([wildcard, anchor], record), 'proven');
      assert.equal(judge([elsewhere, anchor], record), 'certificate-host-mismatch');
      assert.equal(judge([expired, anchor], record), 'certificate-expired');
      assert.equal(judge([early, anchor], record), 'certificate-expired');
      // The hop sends the anchor beside a certificate that it did not sign.
      assert.equal(judge([own, anchor], record), 'tlsa-invalid');
      assert.equal(judge([leaf], record), matching === 0 ? 'proven' : 'tlsa-invalid');
      assert.equal(judge([leaf, stranger], raw(stranger, 2, selector, matching)), 'tlsa-invalid');
      // A trust anchor is no end entity.
      assert.equal(judge([leaf], raw(leaf, 2, selector, matching)), 'tlsa-invalid');
    });
  }
}

test('one of many records is enough, as in a roll-over, and no certificate proves nothing', () => {
  assert.equal(judge([leaf], raw(own, 3, 1, 1), raw(leaf, 3, 1, 1)), 'proven');
  assert.equal(judge([leaf, anchor], raw(own, 3, 1, 1), raw(anchor, 2, 0, 1)), 'proven');
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
