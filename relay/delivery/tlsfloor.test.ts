/** The weakest encryption that each level accepts, on real handshakes with peers of every age. */
import assert from 'node:assert/strict';
import { createDiffieHellmanGroup } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Hop } from '#crds/policyfile.ts';
import { TLS_LEVELS, TLS_VERSIONS, type TlsVersion } from '#crds/tlslevel.ts';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import { type Answer, Hop as HopOfTest, type Step } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, makeParcel, trusting } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import { judgeFor } from './requiretls.ts';

const pair = { ...(await makePair('localhost')), serial: '' };
const authority = await makeAuthority();
/** A Diffie-Hellman group as old hops have it (RFC 2409 section 6.2), in the form of PKCS #3. */
const DH_1024 = pemOfGroup(createDiffieHellmanGroup('modp2').getPrime());
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

function pemOfGroup(prime: Buffer): string {
  const der = Buffer.concat([Buffer.from('30818702818100', 'hex'), prime, Buffer.from('020102', 'hex')]);
  return `-----BEGIN DH PARAMETERS-----\n${der.toString('base64')}\n-----END DH PARAMETERS-----\n`;
}

/** A next hop that speaks TLS only as these options say, and takes everything. */
async function peer(tls: SMTPServerOptions & { readonly ciphers?: string }): Promise<number> {
  const server = new SMTPServer({
    ...pair,
    disabledCommands: ['AUTH'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, _session, callback) => stream.on('end', () => callback(null, 'taken')).resume(),
    ...tls,
  });
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  ends.push(() => server.close());
  return (listening.address() as AddressInfo).port;
}

const only = (version: TlsVersion, ciphers = 'DEFAULT:@SECLEVEL=0') =>
  peer({ minVersion: version, maxVersion: version, ciphers });

async function deliver(
  port: number,
  changes: Partial<Hop>,
  materials = trusting('roots', pair.cert),
): Promise<HopResult> {
  const client = clientWith(materials);
  const budget = new AttemptBudget();
  const hop = hopTo(port, { host: 'localhost', trustConfigMap: 'roots', ...changes });
  const parcel = makeParcel('Subject: x\r\n\r\nx\r\n');
  try {
    return await client.deliver(wayTo(hop), '127.0.0.1', parcel, budget);
  } finally {
    budget.close();
    client.close();
  }
}

/** The TLS version of the delivery, "plain", or "waits". */
async function outcome(port: number, changes: Partial<Hop>): Promise<string> {
  const result = await deliver(port, changes);
  return result.kind === 'answered' ? (result.tls?.version ?? 'plain') : 'waits';
}

/** Cause and reason of a delivery in plain text. */
async function fellBack(port: number): Promise<unknown[]> {
  const result = await deliver(port, { tlsLevel: 'Opportunistic' });
  if (result.kind !== 'answered' || !result.policy?.fellBack) return [];
  return [result.policy.fellBack.cause, result.policy.fellBack.handshake];
}

for (const version of TLS_VERSIONS) {
  test(`a peer that knows ${version} only: encrypted at Opportunistic, by minVersion from Encrypt on`, async () => {
    const port = await only(version);
    for (const minTlsVersion of TLS_VERSIONS) {
      const fits = TLS_VERSIONS.indexOf(version) >= TLS_VERSIONS.indexOf(minTlsVersion);
      for (const tlsLevel of TLS_LEVELS.filter((level) => level !== 'None' && level !== 'Dane'))
        assert.equal(
          await outcome(port, { tlsLevel, minTlsVersion }),
          fits || tlsLevel === 'Opportunistic' ? version : 'waits',
          `${tlsLevel}, minVersion ${minTlsVersion}`,
        );
    }
  });
}

test('a peer without a certificate is encrypted at Opportunistic only', async () => {
  const port = await only('TLSv1', 'aNULL:@SECLEVEL=0');
  const at = (tlsLevel: Hop['tlsLevel']) => outcome(port, { tlsLevel, minTlsVersion: 'TLSv1' });
  assert.deepEqual([await at('Opportunistic'), await at('Encrypt')], ['TLSv1', 'waits']);
});

test('a peer with a certificate is never asked for an anonymous cipher', async () => {
  const port = await only('TLSv1.2', 'ALL:!eNULL:@SECLEVEL=0');
  const result = await deliver(port, { tlsLevel: 'Opportunistic' });
  assert.doesNotMatch((result.kind === 'answered' && result.tls?.cipher) || 'none', /^A(EC)?DH|none/);
});

test('what Opportunistic judges of the levels above it is what they do, for each cipher, group and key', async () => {
  const modern = { maxVersion: 'TLSv1.2' } as const;
  const weak = await authority.issue(['localhost'], { rsa: 1024 });
  const rsa = await authority.issue(['localhost'], { rsa: true });
  const peers: Readonly<
    Record<string, readonly [SMTPServerOptions & { readonly ciphers?: string }, string[]]>
  > = {
    usual: [rsa, []],
    'AES128-SHA': [{ ...rsa, ...modern, ciphers: 'AES128-SHA:@SECLEVEL=0' }, []],
    ARIA: [{ ...rsa, ...modern, ciphers: 'ARIAGCM:@SECLEVEL=0' }, []],
    CAMELLIA: [{ ...rsa, ...modern, ciphers: 'CAMELLIA:@SECLEVEL=0' }, ['Encrypt', 'Verify']],
    CCM8: [{ ...rsa, ...modern, ciphers: 'AESCCM8:@SECLEVEL=0' }, ['Encrypt', 'Verify']],
    'DH 1024': [
      { ...rsa, ...modern, ciphers: 'DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0', dhparam: DH_1024 },
      ['Encrypt', 'Verify'],
    ],
    'RSA 1024': [{ ...weak, ciphers: 'DEFAULT:@SECLEVEL=0' }, ['Verify']],
  };
  for (const [name, [options, waiting]] of Object.entries(peers)) {
    const port = await peer(options);
    const trust = trusting('roots', authority.cert);
    const result = await deliver(port, { tlsLevel: 'Opportunistic' }, trust);
    const { judgement = {}, tls = null } = result.kind === 'answered' ? result : {};
    assert.notEqual(tls, null, `${name} is encrypted`);
    const judged = (['Encrypt', 'Verify'] as const).filter((level) => judgement[level]);
    const found: string[] = [];
    for (const tlsLevel of ['Encrypt', 'Verify'] as const) {
      const { kind } = await deliver(port, { tlsLevel }, trust);
      if (kind === 'unreachable') found.push(tlsLevel);
    }
    assert.deepEqual([judged, found], [waiting, waiting], `${name}: ${JSON.stringify(judgement)}`);
  }
});

test('a peer that has only ciphers without encryption gets plain text at Opportunistic', async () => {
  const port = await only('TLSv1.2', 'eNULL:@SECLEVEL=0');
  assert.equal(await outcome(port, { tlsLevel: 'Opportunistic' }), 'plain');
  assert.equal(await outcome(port, { tlsLevel: 'Encrypt' }), 'waits');
  assert.deepEqual(await fellBack(port), ['handshake', 'no shared version or cipher']);
});

test('for mail that requires TLS a version is final; the alert "handshake failure" is not, for it says nothing', async () => {
  const wantsCertificate = { maxVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: true } as const;
  const judged: unknown[] = [];
  for (const port of [await only('TLSv1.1'), await peer(wantsCertificate)]) {
    const result = await deliver(port, { tlsLevel: 'Verify' });
    const { failure } = result as Extract<HopResult, { kind: 'unreachable' }>;
    judged.push([failure.handshake, judgeFor({ requireTls: true }, failure).permanent]);
  }
  const reason = 'no shared version or cipher';
  assert.deepEqual(judged, [
    [reason, true],
    [reason, false],
  ]);
});

test('each way into plain text has its cause and its reason', async () => {
  const ways: readonly [Partial<Record<Step, Answer>>, string, RegExp][] = [
    [{ EHLO: '250 hop.example' }, 'starttls-missing', /does not offer STARTTLS$/],
    [{ EHLO: '502 no' }, 'starttls-missing', /does not offer STARTTLS$/],
    [{ STARTTLS: '454 4.7.0 not now' }, 'starttls-missing', /refuses STARTTLS \(454 4\.7\.0 not now\)$/],
    [
      { STARTTLS: 'break' },
      'handshake: no TLS in the answer',
      /: the handshake broke: no TLS .*wrong version number/,
    ],
  ];
  for (const [answer, why, text] of ways) {
    const port = await freePort();
    const hop = await HopOfTest.start({ port, pair, answer: ({ step }) => answer[step] });
    ends.push(() => void hop.down());
    const result = await deliver(port, { tlsLevel: 'Opportunistic' });
    const failure = result.kind === 'answered' ? result.policy?.fellBack : undefined;
    assert.match(failure?.text ?? 'none', text);
    assert.equal([failure?.cause, failure?.handshake].filter(Boolean).join(': '), why);
  }
});

test('level None is in plain text on purpose: it fell back from nothing', async () => {
  const result = await deliver(await only('TLSv1.2'), { tlsLevel: 'None' });
  assert.deepEqual(result.kind === 'answered' && [result.tls, result.policy?.fellBack], [null, null]);
});
