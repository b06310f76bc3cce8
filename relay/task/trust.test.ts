import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { connect, createServer, setDefaultCACertificates } from 'node:tls';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { NO_MATERIALS } from './materials.ts';
import { findNobodyTrusted, makeCa, type Trust, trustFrom } from './trust.ts';

const [publicOne, ours] = [await makeAuthority('a public CA'), await makeAuthority('our CA')];
setDefaultCACertificates([publicOne.cert]);
const server = createServer();
server.on('tlsClientError', () => undefined);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());

async function accepts(trust: Trust, authority: Pick<Authority, 'issue'>): Promise<boolean> {
  server.setSecureContext(await authority.issue(['host.example']));
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', servername: 'host.example', ...makeCa(trust) });
  socket.on('error', () => undefined);
  const accepted = await Promise.race([
    once(socket, 'secureConnect').then(
      () => true,
      () => false,
    ),
    once(socket, 'close').then(() => false),
  ]);
  socket.destroy();
  return accepted;
}

const bundle = (files: Record<string, string>) =>
  trustFrom({ ...NO_MATERIALS, configMaps: { bundle: files } }, 'bundle');

test('a field that names no ConfigMap trusts the public roots, and nobody else', async () => {
  const trust = trustFrom(NO_MATERIALS, null);
  assert.deepEqual([await accepts(trust, publicOne), await accepts(trust, ours)], [true, false]);
});

test('a ConfigMap with authorities trusts them, and nobody else', async () => {
  for (const trust of [
    bundle({ 'ca.crt': ours.cert }),
    bundle({ 'a.pem': 'a comment\n', 'b.pem': `# ours\n${ours.cert}` }),
  ])
    assert.deepEqual(
      [await accepts(trust, publicOne), await accepts(trust, ours), findNobodyTrusted(trust, 'bundle')],
      [false, true, undefined],
    );
});

test('an intermediate authority is enough, and trusts only what it signed', async () => {
  const openssl = new OpensslAuthority();
  after(() => openssl.remove());
  const root = openssl.issue('root', CA);
  const [mine, another] = ['mine', 'another'].map((name) => openssl.issue(name, CA, root)) as [Pair, Pair];
  const leaf = openssl.issue('host.example', ['subjectAltName=DNS:host.example'], mine);
  const host = { issue: async () => ({ ...leaf, cert: leaf.cert + mine.cert }) };
  for (const [pem, isTrusted] of [
    [mine.cert, true],
    [another.cert, false],
    [root.cert, true],
  ] as const)
    assert.equal(await accepts(bundle({ 'ca.crt': pem }), host), isTrusted);
});

test('what an authority in the list forbids those below it holds, also where these are in the list', async () => {
  const openssl = new OpensslAuthority();
  after(() => openssl.remove());
  const key = 'keyUsage=keyCertSign';
  for (const limits of [
    [...CA, 'nameConstraints=critical,permitted;DNS:other.example'],
    ['basicConstraints=critical,CA:true,pathlen:0', key],
  ]) {
    const root = openssl.issue('root', limits);
    const below = openssl.issue('below', CA, root);
    const leaf = openssl.issue('host.example', ['subjectAltName=DNS:host.example'], below);
    const host = { issue: async () => ({ ...leaf, cert: leaf.cert + below.cert }) };
    for (const [list, isTrusted] of [
      [[root], false],
      [[root, below], false],
      [[below], true],
    ] as const) {
      const trust = bundle({ 'ca.crt': list.map(({ cert }) => cert).join('') });
      assert.equal(await accepts(trust, host), isTrusted, `${limits}: ${list.length}`);
    }
  }
});

test('an authority helps where the host does not show it, whether its issuer is in the list or not', async () => {
  const openssl = new OpensslAuthority();
  after(() => openssl.remove());
  const root = openssl.issue('root', CA);
  const below = openssl.issue('below', CA, root);
  const host = {
    issue: async () => openssl.issue('host.example', ['subjectAltName=DNS:host.example'], below),
  };
  for (const list of [[below], [below, root]])
    assert.equal(await accepts(bundle({ 'ca.crt': list.map(({ cert }) => cert).join('') }), host), true);
});

test('an authority is enough beside others that have the name of its issuer and are no end of its chain', async () => {
  const openssl = new OpensslAuthority();
  after(() => openssl.remove());
  const withoutKeyIds = [...CA, 'subjectKeyIdentifier=none', 'authorityKeyIdentifier=none'];
  const [root, renewed] = ['root', 'root'].map((name) => openssl.issue(name, withoutKeyIds)) as [Pair, Pair];
  const below = openssl.issue('below', withoutKeyIds, root);
  const crossed = openssl.again(root, withoutKeyIds, below);
  const [withRenewed, withCrossed] = [renewed, crossed].map(({ cert }) =>
    bundle({ 'ca.crt': below.cert + cert }),
  ) as [Trust, Trust];
  const leaf = openssl.issue('host.example', ['subjectAltName=DNS:host.example'], below);
  const host = { issue: async () => ({ ...leaf, cert: leaf.cert + below.cert }) };
  assert.equal(await accepts(withRenewed, host), true);
  assert.equal(makeCa(withCrossed).allowPartialTrustChain, true);
});

test('roots that have signed each other too are trusted in any order', async () => {
  const openssl = new OpensslAuthority();
  after(() => openssl.remove());
  const [one, other] = ['one', 'other'].map((name) => openssl.issue(name, CA)) as [Pair, Pair];
  const crossed = [openssl.again(one, CA, other), openssl.again(other, CA, one)];
  for (const by of [one, other]) {
    const host = {
      issue: async () => openssl.issue('host.example', ['subjectAltName=DNS:host.example'], by),
    };
    for (const list of [
      [one, other, ...crossed],
      [...crossed, one, other],
    ])
      assert.equal(await accepts(bundle({ 'ca.crt': list.map(({ cert }) => cert).join('') }), host), true);
  }
});

test('a ConfigMap that is missing or has no certificate trusts nobody', async () => {
  const broken = '-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n';
  const empty = [{}, { 'ca.crt': '' }, { 'ca.crt': ' \n' }, { 'ca.crt': 'none' }, { 'ca.crt': broken }];
  for (const trust of [trustFrom(NO_MATERIALS, 'bundle'), ...empty.map(bundle)]) {
    assert.deepEqual([await accepts(trust, publicOne), await accepts(trust, ours)], [false, false]);
    assert.match(findNobodyTrusted(trust, 'bundle') ?? '', /the ConfigMap "bundle" has no certificate/);
  }
  assert.equal(findNobodyTrusted(trustFrom(NO_MATERIALS, null), null), undefined);
});
