/** Hosts whose certificate is not valid yet: a clock is wrong, theirs or ours, and what requires TLS waits for it. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { findHopCure } from '#crds/hopcures.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { sink } from '#test/kit/clientrig.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel, trusting } from '#test/kit/relayrig.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { AttemptBudget } from './budget.ts';
import { isOfDemand, judgeFor } from './requiretls.ts';
import { usableRecords } from './tlsa.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';

const HOST = 'mx.example.net';
const TRUST = 'roots';
const parcel = makeParcel('Subject: x\r\n\r\nx\r\n', { requireTls: true });
const authority = await makeAuthority();
const records = usableRecords([tlsaRecord(authority.cert, 2, 0, 1)]);
const DANE: TlsFindings = { ...NO_FINDINGS, dane: { kind: 'records', base: HOST, records } };

/** The failure of the connection, and as it counts for mail that requires TLS. */
async function fail(findings: TlsFindings, dates: { from?: number; until?: number }) {
  const leaf = await authority.issue([HOST], dates);
  const { port } = await sink({ ...leaf, cert: leaf.cert + authority.cert });
  const client = clientWith(trusting(TRUST, authority.cert));
  after(() => client.close());
  const hop = hopTo(port, { host: HOST, tlsLevel: 'Verify', trustConfigMap: TRUST });
  const budget = new AttemptBudget();
  const result = await client.deliver(wayTo(hop, findings), '127.0.0.1', makeParcel('x'), budget);
  budget.close();
  assert.ok(result.kind === 'unreachable');
  return { failure: result.failure, judged: judgeFor(parcel, result.failure) };
}

for (const [how, findings] of [
  ['the authorities', NO_FINDINGS],
  ['TLSA records', DANE],
] as const) {
  test(`by ${how}: one that is not valid yet makes the mail wait, alone`, async () => {
    const { failure, judged } = await fail(findings, { from: 1 });
    assert.match(findHopCure(failure.cause, failure.text) ?? '', /^check the clocks/, failure.text);
    assert.deepEqual([judged.cause, judged.permanent], ['certificate-expired', false], judged.text);
    assert.equal(isOfDemand(parcel, [failure]), true);
  });

  test(`by ${how}: one that has expired proves nothing, and the mail comes back`, async () => {
    const { judged } = await fail(findings, { from: -30, until: -1 });
    assert.deepEqual([judged.cause, judged.permanent], ['requiretls', true], judged.text);
  });
}
