/** Each TLS level on real connections: which hops get mail, in clear or encrypted, and which get none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TLS_LEVELS, type TlsLevel } from '#crds/tlslevel.ts';
import { makePair } from '#test/kit/ca.ts';
import { courier, parcel, peer, sink, starttlsPeer, summary } from '#test/kit/clientrig.ts';
import { hopTo, trusting } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { judgeFor } from './requiretls.ts';

const LEVELS = TLS_LEVELS.filter((level) => level !== 'Dane');
const pair = await makePair('mx.example.net');
const TRUST = 'roots';
const STRANGER = trusting(TRUST, (await makePair('ca.example')).cert);

async function byLevel(port: number, materials = STRANGER): Promise<Partial<Record<TlsLevel, string>>> {
  const outcomes: Partial<Record<TlsLevel, string>> = {};
  for (const tlsLevel of LEVELS) {
    outcomes[tlsLevel] = summary(
      await courier(materials).deliver(hopTo(port, { tlsLevel, trustConfigMap: TRUST }), parcel()),
    );
  }
  return outcomes;
}

test('each level against a next hop that offers STARTTLS with a certificate nobody trusts', async () => {
  const { port, mail } = await sink(pair);
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered encrypted',
    Encrypt: 'delivered encrypted',
    Verify: 'unreachable 4.7.5',
  });
  assert.equal(mail[0]?.body, 'Subject: x\r\n\r\n.dot\r\nend\r\n');
});

test('each level against a next hop without STARTTLS', async () => {
  const { port } = await sink();
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('each level against a next hop whose handshake breaks: only Opportunistic goes on in plain text', async () => {
  const { port } = await peer((line, socket) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line === 'STARTTLS') {
      socket.write('220 go on\r\n');
      socket.end('this is no TLS\r\n');
      return undefined;
    }
    if (line === 'DATA') return '354 go on';
    if (line === '.') return '250 taken';
    return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
  });
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('each level against a next hop that refuses a second EHLO: TLS is there, and HELO is enough', async () => {
  const local = await makePair('localhost');
  const { port, lines } = await starttlsPeer(
    local,
    (line) => (line.startsWith('EHLO') ? '250-peer\r\n250 STARTTLS' : undefined),
    (line) => (line.startsWith('EHLO') ? '503 5.5.1 duplicate EHLO' : undefined),
  );
  for (const tlsLevel of ['Opportunistic', 'Encrypt', 'Verify'] as const) {
    const hop = hopTo(port, { tlsLevel, host: 'localhost', trustConfigMap: TRUST });
    const outcome = summary(await courier(trusting(TRUST, local.cert)).deliver(hop, parcel()));
    assert.equal(outcome, `delivered ${tlsLevel === 'Verify' ? 'verified' : 'encrypted'}`);
  }
  assert.equal(lines.filter((line) => line.startsWith('HELO')).length, 3);
});

test('a next hop that refuses EHLO under TLS may offer what it did not tell: mail that needs it waits, or goes to another', async () => {
  let refuses = true;
  const { port, lines } = await starttlsPeer(
    await makePair('localhost'),
    (line) => (line.startsWith('EHLO') ? '250-peer\r\n250 STARTTLS' : undefined),
    (line) => {
      if (!line.startsWith('EHLO')) return undefined;
      return refuses ? '500 5.5.1 what?' : '250-peer\r\n250-8BITMIME\r\n250-REQUIRETLS\r\n250 SMTPUTF8';
    },
  );
  const body = { beyondAscii: async () => ({ header: false, body: true }) };
  const header = { smtpUtf8: true, beyondAscii: async () => ({ header: true, body: false }) };
  const needs = [
    ['4.6.3', body],
    ['4.6.7', header],
    ['4.6.7', { to: ['jürgen@b.example'] }],
  ] as const;
  const client = courier();
  for (const tlsLevel of ['Opportunistic', 'Encrypt'] as const)
    for (const [status, need] of needs) {
      const result = await client.deliver(hopTo(port, { tlsLevel }), parcel(need));
      assert.ok(result.kind === 'answered' && result.mayTryAnother, tlsLevel);
      const [verdict] = result.verdicts;
      assert.ok(verdict?.kind === 'failed');
      assert.deepEqual([verdict.failure.status, verdict.failure.permanent], [status, false]);
    }
  const requireTls = await client.deliver(hopTo(port), parcel({ requireTls: true }));
  assert.ok(requireTls.kind === 'unreachable');
  assert.deepEqual([requireTls.failure.status, requireTls.failure.permanent], ['4.7.30', false]);
  assert.equal(lines.filter((line) => line.startsWith('MAIL')).length, 0);
  refuses = false;
  for (const need of [{ requireTls: true }, body, header])
    assert.equal(summary(await client.deliver(hopTo(port), parcel(need))), 'delivered encrypted');
});

test('what a next hop that refuses EHLO under TLS says to AUTH is about the login only if it says so', async () => {
  const secrets = { login: { username: 'me', password: 'open sesame' } };
  for (const [reply, cause] of [
    ['502 5.5.1 what?', 'reply'],
    ['503 5.5.1 EHLO first', 'reply'],
    ['535 5.7.8 wrong password', 'login'],
  ] as const) {
    const { port, lines } = await starttlsPeer(
      await makePair('localhost'),
      (line) => (line.startsWith('EHLO') ? '250-peer\r\n250 STARTTLS' : undefined),
      (line) => (line.startsWith('EHLO') ? '500 5.5.1 what?' : line.startsWith('AUTH') ? reply : undefined),
    );
    const client = courier({ ...NO_MATERIALS, secrets });
    const result = await client.deliver(hopTo(port, { credentialsSecret: 'login' }), parcel());
    assert.ok(result.kind === 'unreachable');
    assert.deepEqual([result.failure.cause, result.failure.permanent], [cause, false], result.failure.text);
    assert.equal(lines.filter((line) => line.startsWith('AUTH')).length, 1);
  }
});

test('a next hop that refuses EHLO in plain text has no extensions: what needs one goes back', async () => {
  const { port } = await peer((line) => (/^(HELO|QUIT)/.test(line) ? '250 ok' : '500 5.5.1 what?'));
  const need = { beyondAscii: async () => ({ header: false, body: true }) };
  const result = await courier().deliver(hopTo(port), parcel(need));
  assert.ok(result.kind === 'answered' && !result.mayTryAnother);
  const [verdict] = result.verdicts;
  assert.equal(verdict?.kind === 'failed' && verdict.failure.status, '5.6.3');
});

test('each level against a next hop that refuses STARTTLS', async () => {
  const { port } = await peer((line) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line === 'STARTTLS') return '454 not now';
    if (line === 'DATA') return '354 go on';
    if (line === '.') return '250 taken';
    return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
  });
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('Verify wants the chain and the name, by the bundle alone', async () => {
  const { port } = await sink(pair);
  const verify = hopTo(port, { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST });
  const wrongName = await courier(trusting(TRUST, pair.cert)).deliver(verify, parcel());
  assert.match(wrongName.kind === 'unreachable' ? wrongName.failure.text : '', /altnames|does not match/i);
  const named = await sink(await makePair('localhost'));
  const other = await courier(trusting(TRUST, pair.cert)).deliver({ ...verify, port: named.port }, parcel());
  assert.equal(summary(other), 'unreachable 4.7.5');
});

test('Verify delivers where both hold, also over implicit TLS, and a new bundle counts for new connections', async () => {
  const local = await makePair('localhost');
  const starttls = await sink(local);
  const implicit = await sink({ ...local, secure: true });
  const one = courier(trusting(TRUST, ''));
  const verify = { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST } as const;
  assert.equal(summary(await one.deliver(hopTo(starttls.port, verify), parcel())), 'unreachable 4.7.0');
  one.useMaterials(trusting(TRUST, local.cert));
  assert.equal(summary(await one.deliver(hopTo(starttls.port, verify), parcel())), 'delivered verified');
  const secure = hopTo(implicit.port, { ...verify, implicitTLS: true });
  assert.equal(summary(await one.deliver(secure, parcel())), 'delivered verified');
});

test('where nobody is trusted the fault is ours: the mail waits, also with REQUIRETLS, and a level that verifies nobody goes on', async () => {
  const { port } = await sink(await makePair('localhost'));
  const hop = hopTo(port, { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST });
  const broken = '-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n';
  for (const materials of [NO_MATERIALS, ...['', 'none', broken].map((pem) => trusting(TRUST, pem))]) {
    const result = await courier(materials).deliver(hop, parcel());
    assert.ok(result.kind === 'unreachable');
    const { cause, permanent, text } = judgeFor({ requireTls: true }, result.failure);
    assert.deepEqual([cause, permanent], ['local', false], text);
    assert.match(text, /the ConfigMap "roots" has no certificate/);
    const encrypted = await courier(materials).deliver({ ...hop, tlsLevel: 'Encrypt' }, parcel());
    assert.equal(summary(encrypted), 'delivered encrypted');
  }
});

test('an MX host must prove the domain, because the record that named it is not signed', async () => {
  const { port } = await sink(await makePair('localhost'));
  const cert = (await makePair('localhost')).cert;
  const hop = {
    ...hopTo(port, { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST }),
    mxOf: 'example.net',
  };
  assert.equal(summary(await courier(trusting(TRUST, cert)).deliver(hop, parcel())), 'unreachable 4.7.5');
  const proven = await makePair('example.net');
  const good = await sink(proven);
  assert.equal(
    summary(await courier(trusting(TRUST, proven.cert)).deliver({ ...hop, port: good.port }, parcel())),
    'delivered verified',
  );
});

test('implicit TLS never falls back', async () => {
  const { port } = await sink();
  const hop = hopTo(port, { implicitTLS: true, tlsLevel: 'Opportunistic' });
  assert.equal(summary(await courier().deliver(hop, parcel())), 'unreachable 4.7.5');
});
