import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TLS_LEVELS } from '#crds/tlslevel.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { decideTls, fallBack } from './tlspolicy.ts';

test('Opportunistic over STARTTLS is all that falls back, and only once', () => {
  for (const tlsLevel of TLS_LEVELS) {
    for (const implicitTLS of [false, true]) {
      const policy = decideTls(hopTo(25, { tlsLevel, implicitTLS }));
      assert.equal(policy.mayFallBack, tlsLevel === 'Opportunistic' && !implicitTLS);
      assert.equal(fallBack(policy).mayFallBack, false);
      assert.equal(policy.mode, implicitTLS ? 'implicit' : tlsLevel === 'None' ? 'none' : 'starttls');
    }
  }
});

test('a login raises the level to Encrypt, and lowers none', () => {
  const levels = TLS_LEVELS.map(
    (tlsLevel) => decideTls(hopTo(25, { tlsLevel, credentialsSecret: 'x' })).level,
  );
  assert.deepEqual(levels, ['Encrypt', 'Encrypt', 'Encrypt', 'Verify', 'Dane']);
  assert.equal(decideTls(hopTo(25, { tlsLevel: 'None', credentialsSecret: 'x' })).mode, 'starttls');
});

test('the names that a certificate must have', () => {
  const names = (host: string, mxOf?: string, serverName: string | null = null) =>
    decideTls({ ...hopTo(25, { tlsLevel: 'Verify', host, serverName }), ...(mxOf ? { mxOf } : {}) }).names;
  assert.deepEqual(names('mx.example.net'), ['mx.example.net']);
  assert.deepEqual(names('mx.example.net.'), ['mx.example.net']);
  assert.deepEqual(names('192.0.2.1'), ['192.0.2.1']);
  assert.deepEqual(names('mx.example.net', undefined, 'other.example'), ['other.example']);
  assert.deepEqual(names('mx.example.net', 'example.net'), ['example.net', 'mx.example.net']);
  assert.deepEqual(names('mx.other.example', 'example.net'), ['example.net']);
  assert.deepEqual(names('badexample.net', 'example.net'), ['example.net']);
});

test('names are compared without case, in ASCII', () => {
  const policy = (host: string, mxOf: string) =>
    decideTls({ ...hopTo(25, { tlsLevel: 'Verify', host }), mxOf });
  assert.deepEqual(policy('MX.Example.NET.', 'example.net').names, ['example.net', 'mx.example.net']);
  const international = policy('bücher.example', 'bücher.example');
  assert.deepEqual(international.names, ['xn--bcher-kva.example']);
  assert.equal(international.sni, 'xn--bcher-kva.example');
});

test('below Verify nobody is trusted and no name is asked for', () => {
  for (const tlsLevel of ['None', 'Opportunistic', 'Encrypt'] as const) {
    const { trust, names } = decideTls(hopTo(25, { tlsLevel, trustConfigMap: 'roots' }));
    assert.deepEqual([trust, names], [{ kind: 'none' }, []]);
  }
  const { trust } = decideTls(hopTo(25, { tlsLevel: 'Verify', trustConfigMap: 'roots' }));
  assert.deepEqual(trust, { kind: 'pkix', configMap: 'roots' });
});
