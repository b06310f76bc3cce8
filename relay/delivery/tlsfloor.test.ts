/** The weakest encryption that each level accepts, on real handshakes with peers of every age. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Hop } from '#crds/policyfile.ts';
import { TLS_LEVELS, TLS_VERSIONS, type TlsVersion } from '#crds/tlslevel.ts';
import { makePair } from '#test/kit/ca.ts';
import { wayTo } from '#test/kit/hopway.ts';
import { hopTo, policyOf, trusting } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import { SmtpClient } from './smtpclient.ts';

const pair = await makePair('localhost');
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

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

async function deliver(port: number, changes: Partial<Hop>): Promise<HopResult> {
  const materials = trusting('roots', pair.cert);
  const client = new SmtpClient(policyOf(), materials, { session: () => undefined, follows: () => false });
  const budget = new AttemptBudget();
  const hop = hopTo(port, { host: 'localhost', trustConfigMap: 'roots', ...changes });
  const body = Buffer.from('Subject: x\r\n\r\nx\r\n');
  const parcel = {
    from: 'me@example.com',
    to: ['you@example.net'],
    bytes: body.length,
    eightBit: false,
    smtpUtf8: false,
    dsn: { ret: null, envid: null, recipients: [] },
    beyondAscii: async () => ({ header: false, body: false }),
    body: () => body,
  };
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

test('a peer that has only ciphers without encryption gets plain text at Opportunistic', async () => {
  const port = await only('TLSv1.2', 'eNULL:@SECLEVEL=0');
  assert.equal(await outcome(port, { tlsLevel: 'Opportunistic' }), 'plain');
  assert.equal(await outcome(port, { tlsLevel: 'Encrypt' }), 'waits');
});
