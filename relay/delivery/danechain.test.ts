/** What TLSA records prove, on real handshakes: the chains of a host, judged as the program openssl judges them. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { deliver, HOST, type Kind, newClient, openssl, raw, word } from '#test/kit/danehop.ts';
import { wayTo } from '#test/kit/hopway.ts';
import { CA } from '#test/kit/opensslca.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { judgeTlsa } from './danechain.ts';
import { usableRecords } from './tlsa.ts';
import { NO_FINDINGS } from './tlsfindings.ts';

const LEAF = ['basicConstraints=CA:false', `subjectAltName=DNS:${HOST}`];
const root = openssl.issue('root', CA);
const sub = openssl.issue('sub', CA, root);
const leafBy = (by: Pair, ...more: string[]) => openssl.issue('leaf', [...LEAF, ...more], by);
const below = (by: Pair, name: string, ...extensions: string[]) => {
  const made = openssl.issue(name, extensions, by);
  return [leafBy(made), made];
};
const short = openssl.issue(
  'short',
  ['basicConstraints=critical,CA:true,pathlen:0', 'keyUsage=keyCertSign'],
  root,
);
const shortRoot = openssl.issue('short root', ['basicConstraints=critical,CA:true,pathlen:0']);

/** From the certificate of the host to the anchor, and whether it proves the host. */
const CHAINS: readonly (readonly [string, readonly Pair[], boolean])[] = [
  ['signed by the anchor', [leafBy(root), root], true],
  ['one CA below the anchor', [leafBy(sub), sub, root], true],
  ['two CAs below the anchor', [...below(sub, 'lower', ...CA), sub, root], true],
  ['the anchor is not the root', [leafBy(sub), sub], true],
  ['a CA below a CA of pathlen:0', [...below(short, 'too low', ...CA), short, root], false],
  ['a CA below an anchor of pathlen:0', [...below(shortRoot, 'low', ...CA), shortRoot], false],
  ['right below a CA of pathlen:0', [leafBy(short), short, root], true],
  [
    'a CA for other names',
    [...below(root, 'nc', ...CA, 'nameConstraints=critical,permitted;DNS:other.example'), root],
    false,
  ],
  [
    'a CA that excludes the name',
    [...below(root, 'nx', ...CA, 'nameConstraints=excluded;DNS:example.net'), root],
    false,
  ],
  [
    'a CA for this name',
    [...below(root, 'ny', ...CA, 'nameConstraints=critical,permitted;DNS:example.net'), root],
    true,
  ],
  ['for clients only', [leafBy(root, 'extendedKeyUsage=clientAuth'), root], false],
  ['for servers', [leafBy(root, 'extendedKeyUsage=serverAuth'), root], true],
  ['a CA for clients only', [...below(root, 'cc', ...CA, 'extendedKeyUsage=clientAuth'), root], false],
  [
    'an extension that nobody knows, critical',
    [leafBy(root, '1.2.3.4=critical,ASN1:UTF8String:x'), root],
    false,
  ],
  ['an extension that nobody knows', [leafBy(root, '1.2.3.4=ASN1:UTF8String:x'), root], true],
  [
    'a CA with such an extension',
    [...below(root, 'cx', ...CA, '1.2.3.4=critical,ASN1:UTF8String:x'), root],
    false,
  ],
  ['an issuer that is no CA', [...below(root, 'no ca', 'basicConstraints=CA:false'), root], false],
  [
    'an issuer that may not sign',
    [...below(root, 'no sign', 'basicConstraints=critical,CA:true', 'keyUsage=cRLSign'), root],
    false,
  ],
  ['a digest of the last century', [openssl.issue('old', LEAF, root, 'sha1'), root], false],
  ['no name but the common name', [openssl.issue(HOST, ['basicConstraints=CA:false'], root), root], true],
  [
    'another name beside the common name',
    [openssl.issue(HOST, ['subjectAltName=DNS:mx.other.example'], root), root],
    false,
  ],
];

for (const [what, chain, isProven] of CHAINS) {
  test(`DANE-TA proves what openssl accepts: ${what}`, async () => {
    const anchor = chain.at(-1) as Pair;
    assert.equal(openssl.accepts(HOST, chain, anchor), isProven, 'openssl');
    for (const kind of [
      [2, 0, 0],
      [2, 0, 1],
      [2, 1, 1],
      [2, 1, 2],
    ] as const) {
      const found = await word(chain, [raw(anchor, kind)]);
      assert.equal(found === 'proven', isProven, `${kind}: ${found}`);
    }
  });
}

test('an anchor that the hop does not send: the whole certificate and the whole key are enough', async () => {
  const chain = [leafBy(sub), sub];
  for (const kind of [
    [2, 0, 0],
    [2, 1, 0],
  ] as const) {
    assert.equal(await word(chain, [raw(root, kind)]), 'proven', String(kind));
    assert.equal(await word([leafBy(root)], [raw(root, kind)]), 'proven', String(kind));
    assert.equal(await word([leafBy(shortRoot), short], [raw(root, kind)]), 'tlsa-invalid', String(kind));
  }
  assert.equal(await word(chain, [raw(root, [2, 0, 1])]), 'tlsa-invalid');
});

const authority = await makeAuthority();
const own = await makePair('x.example', -5);
const stranger = await makePair(HOST);
const expired = await authority.issue([HOST], { from: -30, until: -1 });
const early = await authority.issue([HOST], { from: 1, until: 30 });
const elsewhere = await authority.issue(['mx.other.example']);

for (const selector of [0, 1])
  for (const matching of [0, 1, 2]) {
    test(`DANE-EE 3 ${selector} ${matching}: the certificate alone counts, not its name and not its dates`, async () => {
      for (const pair of [expired, early, elsewhere, own])
        assert.equal(await word([pair], [raw(pair, [3, selector, matching])]), 'proven');
    });

    test(`DANE-TA 2 ${selector} ${matching}: a chain to the anchor, with name and dates`, async () => {
      const anchor = { cert: authority.cert, key: '' };
      const record = raw(anchor, [2, selector, matching]);
      const judge = (pair: Pick<Pair, 'cert' | 'key'>) => word([pair, anchor], [record]);
      for (const name of [HOST, 'example.net', '*.example.net'])
        assert.equal(await judge(await authority.issue([name])), 'proven', name);
      for (const name of ['mx.other.example', 'm*.example.net', '*.net'])
        assert.equal(await judge(await authority.issue([name])), 'certificate-host-mismatch', name);
      assert.equal(await judge(expired), 'certificate-expired');
      assert.equal(await judge(early), 'certificate-expired');
      // The hop sends the anchor beside a certificate that it did not sign.
      assert.equal(await judge(stranger), 'tlsa-invalid');
      // A trust anchor is no end entity.
      assert.equal(await word([own], [raw(own, [2, selector, matching])]), 'tlsa-invalid');
    });
  }

test('an anchor that proved a host is kept: the next connection needs one handshake, also after it changed', async () => {
  const by = newClient();
  const records = [raw(root, [2, 0, 1]), raw(shortRoot, [2, 0, 1])];
  const times = async (chain: readonly Pair[]) => (await deliver(chain, records, { by })).sessions;
  const bad = [leafBy(root, 'extendedKeyUsage=clientAuth'), root];
  assert.deepEqual([await times(bad), await times(bad)], [2, 2], 'no proof');
  const [one, other] = [root, shortRoot].map((anchor) => [leafBy(anchor), anchor]) as [Pair[], Pair[]];
  const all = [await times(one), await times(one), await times(other), await times(other), await times(bad)];
  assert.deepEqual(all, [2, 1, 2, 1, 2]);
});

/** By nobody's leave: anybody can sign the public key of an authority with a key of his own. */
const forged = openssl.forge(root, [...CA, 'nameConstraints=critical,permitted;DNS:evil.example']);
const evil = openssl.issue(
  'evil',
  ['basicConstraints=CA:false', 'subjectAltName=DNS:mx.evil.example,DNS:evil.example'],
  root,
);

test('a stranger who publishes the records of another host leaves no anchor for it', async () => {
  const honest = [leafBy(root), root];
  const stranger = { base: 'mx.evil.example', mxOf: 'evil.example' };
  for (const kind of [
    [2, 1, 1],
    [2, 1, 2],
    [2, 1, 0],
  ] as const) {
    const by = newClient();
    const judge = async (chain: readonly Pair[], more: { base?: string; mxOf?: string } = {}) => {
      const { word: found, sessions } = await deliver(chain, [raw(root, kind)], { by, ...more });
      return `${found} ${sessions}`;
    };
    assert.equal(await judge([openssl.issue('x', CA), forged], stranger), 'tlsa-invalid 2');
    // The authority may have signed for the stranger too, so this chain is right, and the anchor is his own.
    assert.equal(await judge([evil, forged], stranger), 'proven 2');
    assert.equal(await judge([evil, forged], stranger), 'proven 1');
    assert.deepEqual([await judge(honest), await judge(honest)], ['proven 2', 'proven 1'], String(kind));
  }
});

test('a kept anchor that spoils the proof is replaced by that of the chain', async () => {
  const by = newClient();
  const honest = [leafBy(root), root];
  const judge = async (chain: readonly Pair[], mxOf = 'example.net') => {
    const { word: found, sessions } = await deliver(chain, [raw(root, [2, 1, 1])], { by, mxOf });
    return `${found} ${sessions}`;
  };
  // On the way to a host that evil.example names as its MX, a certificate of that domain counts too.
  assert.equal(await judge([evil, forged], 'evil.example'), 'proven 2');
  assert.deepEqual([await judge(honest), await judge(honest)], ['proven 2', 'proven 1']);
});

test('of a chain the first certificates count, and the reason tells it', async () => {
  const long = await deliver(
    [leafBy(root), ...Array.from({ length: 20 }, () => sub), root],
    [raw(root, [2, 0, 1])],
  );
  assert.equal(long.word, 'tlsa-invalid');
  assert.match(long.text, /only the first 10 certificates of its chain count/);
});

test('the anchors of an unsigned MX say nothing of level Verify', async () => {
  const chain = [leafBy(root), root];
  const of = async (kind: Kind, whose: Pair) =>
    Object.keys((await deliver(chain, [raw(whose, kind)], { isMxSigned: false })).judgement as object);
  assert.deepEqual(await of([2, 0, 1], root), ['Encrypt', 'Dane']);
  assert.deepEqual((await of([3, 0, 1], chain[0] as Pair)).toSorted(), ['Dane', 'Encrypt', 'Verify']);
});

test('an authority of level Verify proves nothing: an anchor that is new needs a connection that trusts it', () => {
  const [leaf, anchor] = [new X509Certificate(leafBy(root).cert), new X509Certificate(root.cert)];
  const dane = { kind: 'records', base: HOST, records: usableRecords([raw(root, [2, 0, 0])]) } as const;
  const { policy } = wayTo(hopTo(25, { host: HOST }), { ...NO_FINDINGS, dane });
  const judge = (authorized: boolean, anchors: string[]) => {
    const authorizationError = authorized ? null : 'INVALID_PURPOSE';
    const socket = { authorized, authorizationError, getPeerX509Certificate: () => leaf };
    return judgeTlsa(socket as unknown as TLSSocket, { policy, anchors });
  };
  for (const authorized of [true, false]) {
    const unproven = judge(authorized, []);
    assert.deepEqual([unproven?.problem.cause, unproven?.anchors], ['connect', [String(anchor)]]);
  }
  assert.equal(judge(true, [String(anchor)]), undefined);
  const spoilt = judge(false, [String(forged.cert), String(anchor)]);
  assert.deepEqual(
    [spoilt?.problem.cause, spoilt?.anchors],
    ['connect', [String(anchor)]],
    'trusted beside another',
  );
  const refused = judge(false, [String(anchor)]);
  assert.deepEqual([refused?.problem.cause, refused?.anchors], ['tlsa-invalid', undefined]);
  assert.equal(
    refused?.problem.text,
    'its chain does not lead to the trust anchor: its certificate is not one of a server',
  );
});
