/** TLSA records against real certificates. What a handshake then proves: danechain.test.ts. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mock, test } from 'node:test';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { matchChain, usableRecords } from './tlsa.ts';

const authority = await makeAuthority();
const anchor = new X509Certificate(authority.cert);
const leaf = new X509Certificate((await authority.issue(['mx.example.net'])).cert);
const own = new X509Certificate((await makePair('x.example', -5)).cert);
const stranger = new X509Certificate((await makeAuthority()).cert);

type Raw = Parameters<typeof usableRecords>[0][number];

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
        assert.equal(judge([certificate, anchor], tlsaRecord(certificate, 3, selector, matching)), 'proven');
      assert.equal(judge([leaf, anchor], tlsaRecord(stranger, 3, selector, matching)), 'tlsa-invalid');
      assert.equal(judge([leaf, anchor], tlsaRecord(anchor, 3, selector, matching)), 'tlsa-invalid');
      const record = tlsaRecord(anchor, 2, selector, matching);
      assert.equal(judge([leaf, anchor], record), 'anchor');
      assert.equal(judge([leaf, stranger, anchor], record), 'anchor');
      // The record may have the anchor whole.
      assert.equal(judge([leaf], record), matching === 0 ? 'anchor' : 'tlsa-invalid');
      // A trust anchor is no end entity.
      for (const certificate of [leaf, own])
        assert.equal(
          judge([certificate, certificate], tlsaRecord(certificate, 2, selector, matching)),
          'tlsa-invalid',
        );
    });
  }
}

test('one of many records is enough, as in a roll-over, and no certificate proves nothing', () => {
  assert.equal(judge([leaf], tlsaRecord(own, 3, 1, 1), tlsaRecord(leaf, 3, 1, 1)), 'proven');
  assert.equal(judge([leaf, anchor], tlsaRecord(own, 3, 1, 1), tlsaRecord(anchor, 2, 0, 1)), 'anchor');
  assert.equal(judge([], tlsaRecord(leaf, 3, 1, 1)), 'tlsa-invalid');
});

test('of two digests the stronger one counts, for each usage and selector', () => {
  const wrong = { ...tlsaRecord(own, 3, 1, 2) };
  assert.equal(judge([leaf], tlsaRecord(leaf, 3, 1, 1), wrong), 'tlsa-invalid');
  assert.equal(judge([leaf], tlsaRecord(leaf, 3, 0, 1), wrong), 'proven');
  assert.equal(judge([leaf], tlsaRecord(leaf, 3, 1, 0), wrong), 'proven');
});

test('records that no client can use', () => {
  const good = tlsaRecord(leaf, 3, 1, 1);
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
    { ...tlsaRecord(leaf, 3, 0, 0), selector: 1 },
    { ...tlsaRecord(leaf, 3, 1, 0), selector: 0 },
    { ...tlsaRecord(leaf, 3, 0, 0), data: `${leaf.raw.toString('hex')}00` },
    { ...tlsaRecord(leaf, 3, 0, 0), data: Buffer.from(leaf.toString()).toString('hex') },
  ];
  for (const record of unusable) assert.deepEqual(usableRecords([record]), [], JSON.stringify(record));
  assert.equal(usableRecords([...unusable, good]).length, 1);
});

const wholeKey = (key: KeyObject): Raw => ({
  usage: 2,
  selector: 1,
  matching: 0,
  data: key.export({ type: 'spki', format: 'der' }).toString('hex'),
});
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;

/** How many signatures were checked, and the reason of a chain that proves nothing. */
function count(chain: readonly X509Certificate[], records: readonly Raw[]) {
  const { mock: checks } = mock.method(X509Certificate.prototype, 'verify');
  const exports = mock.method(Object.getPrototypeOf(anchor.publicKey), 'export').mock;
  try {
    const match = matchChain(chain, records as Parameters<typeof matchChain>[1]);
    return {
      checks: checks.callCount(),
      exports: exports.callCount(),
      end: match.kind === 'none' ? match.problem.text : match.kind,
    };
  } finally {
    mock.restoreAll();
  }
}

test('signatures by keys that strangers choose are checked a few times only, and the reason tells it', () => {
  const long = [leaf, ...Array.from({ length: 98 }, () => stranger), anchor];
  const many = Array.from({ length: 100 }, () => wholeKey(newKey()));
  const bounded = count(long, many);
  assert.equal(bounded.checks, 20);
  assert.match(bounded.end, /first 10 certificates of its chain count; at most 20 signatures by whole keys/);
  assert.equal(count([leaf], many).checks, 20);
  const same = Array.from({ length: 100 }, () => wholeKey(stranger.publicKey));
  assert.deepEqual(count([leaf], same), {
    checks: 1,
    exports: 1,
    end: 'no TLSA record matches its certificate',
  });
  // A host that changes its key: the anchor is not in the chain, and the old key has a record too.
  const change = [wholeKey(stranger.publicKey), wholeKey(anchor.publicKey)];
  assert.deepEqual(count([leaf, own, own, own], change), { checks: 8, exports: 4, end: 'anchors' });
});

test('a key that costs much time to use is never used, and the reason tells it', () => {
  const n = Buffer.alloc(384, 0xff).toString('base64url');
  const e = Buffer.alloc(384, 0xfe).toString('base64url');
  const slow = wholeKey(createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' }));
  assert.deepEqual(usableRecords([slow]), [slow]);
  const refused = count([leaf, anchor], [slow]);
  assert.equal(refused.checks, 0);
  assert.match(refused.end, /of whole keys only these are used: RSA of at most 8192 bits/);
  assert.equal(count([leaf], [slow, wholeKey(anchor.publicKey)]).end, 'anchors');
  // DANE-EE compares keys and uses none.
  assert.equal(count([leaf], [{ ...slow, usage: 3 }]).checks, 0);
});

test('each certificate of a chain is read once, however many records there are', () => {
  const records = Array.from({ length: 1_000 }, (_, n) => ({
    ...tlsaRecord(stranger, 2 + (n % 2), 1, 1),
    data: n.toString(16).padStart(64, '0'),
  }));
  assert.equal(count([leaf, anchor], records).exports, 2);
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
