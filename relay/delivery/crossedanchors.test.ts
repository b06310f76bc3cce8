/** Authorities that certify each other: no certificate of such a chain is its end, and nobody walks it to the end. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sink } from '#test/kit/clientrig.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { hopTo, makeParcel, trusting } from '#test/kit/relayrig.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { AttemptBudget } from './budget.ts';
import { usableRecords } from './tlsa.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';

const HOST = 'mx.example.net';
const TRUST = 'partners';
const openssl = new OpensslAuthority();
after(() => openssl.remove());
const root = openssl.issue('root', CA);
const below = openssl.issue('below', CA, root);
const both = [below, openssl.again(root, CA, below)].map(({ cert }) => cert);
const leaf = openssl.issue('leaf', ['basicConstraints=CA:false', `subjectAltName=DNS:${HOST}`], below);
const records = usableRecords(both.map((cert) => tlsaRecord(cert, 2, 1, 1)));

for (const [how, findings, level] of [
  ['TLSA records name', { ...NO_FINDINGS, dane: { kind: 'records', base: HOST, records } }, 'Opportunistic'],
  ['a ConfigMap lists', NO_FINDINGS, 'Verify'],
] as const satisfies readonly [string, TlsFindings, string][])
  for (const isImplicit of [false, true])
    test(`a host whose authorities certify each other gets its mail, where ${how} them, TLS at once: ${isImplicit}`, async () => {
      const cert = [leaf.cert, ...both].join('\n');
      const { port } = await sink({ cert, key: leaf.key, secure: isImplicit });
      const client = clientWith(trusting(TRUST, both.join('\n')));
      after(() => client.close());
      const terms = { host: HOST, tlsLevel: level, trustConfigMap: TRUST, implicitTLS: isImplicit };
      const budget = new AttemptBudget();
      const way = wayTo(hopTo(port, terms), findings);
      const result = await client.deliver(way, '127.0.0.1', makeParcel('x'), budget);
      budget.close();
      assert.equal(result.kind, 'answered', JSON.stringify(result));
    });
