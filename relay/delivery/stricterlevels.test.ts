/** What stricter levels and tested policies would have said of a connection. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { makeFailure } from '#crds/failure.ts';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, makeParcel, trusting } from '#test/kit/relayrig.ts';
import { AttemptBudget } from './budget.ts';
import type { NextHop } from './courier.ts';
import { checkNames, judgeStricter, judgeTesting } from './stricterlevels.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';
import { fallBack } from './tlspolicy.ts';

const HOST = 'mx.example.net';
const authority = await makeAuthority();
const openssl = new OpensslAuthority();
after(() => openssl.remove());
const named = async (name: string) => new X509Certificate((await authority.issue([name])).cert);
const commonOnly = new X509Certificate(openssl.issue(HOST, []).cert);

const hop: NextHop = { ...hopTo(25, { host: HOST, tlsLevel: 'Opportunistic' }), mxOf: 'example.net' };
const testing: TlsFindings = {
  ...NO_FINDINGS,
  sts: { kind: 'policy', mode: 'testing', mxPatterns: [HOST], maxAgeSeconds: 86_400 },
};
const unsigned: TlsFindings = { ...NO_FINDINGS, dane: { kind: 'none', why: 'it is not signed' } };
const broken = makeFailure({ cause: 'starttls-missing', status: '4.7.5', text: 'no STARTTLS' });

/** A socket after a handshake whose chain is trusted. */
function socketWith(certificate: X509Certificate, version = 'TLSv1.3'): TLSSocket {
  const socket = {
    authorized: true,
    authorizationError: null,
    getProtocol: () => version,
    getCipher: () => ({ name: 'TLS_AES_256_GCM_SHA384' }),
    getEphemeralKeyInfo: () => ({ type: 'ECDH', name: 'X25519', size: 253 }),
    getPeerX509Certificate: () => certificate,
  };
  return socket as unknown as TLSSocket;
}

test('of Dane nothing is known where DANE is not looked up, also after a fall-back to plain text', async () => {
  const socket = socketWith(await named(HOST));
  const levels = (findings: TlsFindings, isBroken: boolean) => {
    const { policy } = wayTo(hop, findings);
    const judged = isBroken
      ? judgeStricter(hop, fallBack(policy, broken), null)
      : judgeStricter(hop, policy, socket);
    return Object.keys(judged);
  };
  assert.deepEqual(levels(NO_FINDINGS, false), ['Encrypt', 'Verify']);
  assert.deepEqual(levels(NO_FINDINGS, true), ['Encrypt', 'Verify']);
  assert.deepEqual(levels(unsigned, false), ['Encrypt', 'Verify', 'Dane']);
  assert.deepEqual(levels(unsigned, true), ['Encrypt', 'Verify', 'Dane']);
  const fallen = judgeStricter(hop, fallBack(wayTo(hop, unsigned).policy, broken), null);
  assert.deepEqual(fallen, { Encrypt: broken, Verify: broken, Dane: broken });
  assert.deepEqual(judgeStricter(hop, wayTo(hop).policy, null), {});
});

test('MTA-STS in mode testing wants the name of the MX host in the subjectAltName, and the version of the spec', async () => {
  const { policy } = wayTo(hop, testing);
  const cause = (certificate: X509Certificate, version?: string) => {
    const { stsTesting } = judgeTesting(hop, policy, socketWith(certificate, version));
    return stsTesting === null ? 'met' : stsTesting?.cause;
  };
  assert.equal(cause(await named(HOST)), 'met');
  assert.equal(cause(await named('*.example.net')), 'met');
  for (const name of ['example.net', 'm*.example.net', '*.net'])
    assert.equal(cause(await named(name)), 'certificate-host-mismatch', name);
  assert.equal(cause(commonOnly), 'certificate-host-mismatch');
  assert.equal(cause(await named(HOST), 'TLSv1'), 'handshake');
  assert.deepEqual(judgeTesting(hop, wayTo(hop).policy, socketWith(commonOnly)), {});
});

test('the names of a certificate: a wildcard is a whole label, the common name counts alone and not for MTA-STS', async () => {
  const matches = (certificate: X509Certificate, source: 'san' | 'any', ...names: string[]) =>
    checkNames(names, source, certificate) === undefined;
  for (const source of ['san', 'any'] as const) {
    assert.equal(matches(await named(HOST), source, HOST), true);
    assert.equal(matches(await named(HOST), source, 'example.net', HOST), true);
    assert.equal(matches(await named('*.example.net'), source, HOST), true);
    assert.equal(matches(await named('*.example.net'), source, 'a.mx.example.net'), false);
    assert.equal(matches(await named('mx*.example.net'), source, 'mx1.example.net'), false);
    assert.equal(matches(await named('192.0.2.1'), source, '192.0.2.1'), false);
    assert.equal(checkNames([], source, commonOnly), undefined);
    assert.ok(checkNames([HOST], source, undefined));
  }
  assert.deepEqual([matches(commonOnly, 'any', HOST), matches(commonOnly, 'san', HOST)], [true, false]);
  const error = checkNames(['mx.other.example'], 'any', await named(HOST));
  assert.match(error?.message ?? '', /mx\.other\.example.* altnames: DNS:mx\.example\.net/);
});

test('a handshake: an enforced MTA-STS policy wants the subjectAltName and no partial wildcard, Verify takes a common name', async () => {
  const alone = openssl.issue(HOST, []);
  const client = clientWith(trusting('roots', authority.cert + alone.cert));
  after(() => client.close());
  const enforced: TlsFindings = {
    ...NO_FINDINGS,
    sts: { kind: 'policy', mode: 'enforce', mxPatterns: [HOST], maxAgeSeconds: 86_400 },
  };
  const deliver = async (pair: Pair, findings: TlsFindings) => {
    const port = await freePort();
    const server = await Hop.start({ port, pair });
    const budget = new AttemptBudget();
    const to = { ...hopTo(port, { host: HOST, tlsLevel: 'Verify', trustConfigMap: 'roots' }) };
    const result = await client.deliver(
      wayTo(to, findings),
      '127.0.0.1',
      makeParcel('Subject: x\r\n\r\n'),
      budget,
    );
    budget.close();
    await server.down();
    return result.kind === 'answered' ? 'verified' : result.failure.cause;
  };
  for (const findings of [enforced, NO_FINDINGS]) {
    assert.equal(await deliver(await authority.issue([HOST]), findings), 'verified');
    assert.equal(await deliver(await authority.issue(['*.example.net']), findings), 'verified');
    for (const name of ['m*.example.net', 'mx.other.example'])
      assert.equal(await deliver(await authority.issue([name]), findings), 'certificate-host-mismatch', name);
  }
  assert.equal(await deliver(alone, enforced), 'certificate-host-mismatch');
  assert.equal(await deliver(alone, NO_FINDINGS), 'verified');
});

test('chains are judged as a level that verifies does: each of the same certificate, and of a chain only what issued it', async () => {
  const root = openssl.issue('root', CA, undefined, 'sha1');
  const strong = openssl.issue('between', CA, root);
  const weak = openssl.again(strong, CA, root, 'sha1');
  const stray = openssl.issue('stray', CA, root, 'sha1');
  const leaf = openssl.issue(HOST, [`subjectAltName=DNS:${HOST}`], strong);
  const weakLeaf = openssl.again(leaf, [`subjectAltName=DNS:${HOST}`], strong, 'sha1');
  const { policy } = wayTo(hop);
  const { ciphers } = policy.strength;
  const compare = async (...chain: Pair[]) => {
    const cert = chain.map((one) => one.cert).join('');
    const server = createServer({ cert, key: leaf.key, ciphers: 'DEFAULT:@SECLEVEL=0' });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const to = { port, ca: root.cert, servername: HOST, rejectUnauthorized: false };
    const verifying = connect(to);
    const socket = connect({ ...to, ...(ciphers === null ? {} : { ciphers }) });
    await Promise.all([once(verifying, 'secureConnect'), once(socket, 'secureConnect')]);
    const { Verify } = judgeStricter(hop, policy, socket);
    assert.equal(Verify === null, verifying.authorized, Verify?.text ?? 'met');
    for (const one of [socket, verifying]) one.destroy();
    server.close();
    return Verify === null ? 'met' : Verify?.cause;
  };
  assert.equal(await compare(leaf, weak), 'certificate-untrusted');
  assert.equal(await compare(leaf, strong), 'met');
  assert.equal(await compare(leaf, weak), 'certificate-untrusted');
  assert.equal(await compare(weakLeaf, strong), 'certificate-untrusted');
  assert.equal(await compare(leaf, stray, strong), 'met');
  assert.equal(await compare(leaf, strong, weak), 'met');
  assert.equal(await compare(leaf, weak, strong), 'certificate-untrusted');
  assert.equal(await compare(leaf, strong, root, strong), 'met');
});
