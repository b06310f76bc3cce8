/** Which TLSA records belong to a hop, by RFC 7672 section 2.2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopTo } from '#test/kit/relayrig.ts';
import type { Dns, DnsAnswer } from '../dns/resolver.ts';
import { SYSTEM_DNS } from '../dns/system.ts';
import type { NextHop } from './courier.ts';
import { DaneFindings, findDane } from './dane.ts';

type Answer = DnsAnswer<'A'> | DnsAnswer<'TLSA'> | DnsAnswer<'CNAME'>;

const signed = { isSigned: true };
const address = (name: string, isSigned = true): Answer => ({
  kind: 'records',
  name,
  records: ['192.0.2.1'],
  isSigned,
});
const record = { usage: 3, selector: 1, matching: 1, data: '00'.repeat(32) };
const tlsa = (count = 1, change = {}, isSigned = true): Answer => ({
  kind: 'records',
  name: '',
  records: Array.from({ length: count }, () => ({ ...record, ...change })),
  isSigned,
});
const broken = (isBogus = false): Answer => ({ kind: 'failed', why: 'it is broken', isBogus });

/** Answers from a table; what is not in it is absent, and proven to be. */
async function find(hop: Partial<NextHop>, answers: Readonly<Record<string, Answer>>) {
  const asked: string[] = [];
  const lookUp = async (name: string, type: string) => {
    asked.push(`${type} ${name}`);
    return answers[`${type} ${name}`] ?? { kind: 'absent', name, exists: true, ...signed };
  };
  const finding = await findDane({ ...hopTo(25, { host: 'mx.example' }), ...hop }, { lookUp } as Dns);
  return { finding, asked };
}

const HOST = { 'A mx.example': address('mx.example') };

test('records count only with a signed address, and are not asked for without', async () => {
  const found = await find(
    { host: 'MX.Example.', port: 2525 },
    { ...HOST, 'TLSA _2525._tcp.mx.example': tlsa() },
  );
  assert.equal(found.finding.kind === 'records' && found.finding.base, 'mx.example');
  const unsigned = await find({}, { 'A mx.example': address('mx.example', false) });
  assert.equal(unsigned.finding.kind, 'none');
  assert.deepEqual(unsigned.asked, ['A mx.example', 'AAAA mx.example']);
  const half = { ...HOST, 'AAAA mx.example': address('mx.example', false) };
  assert.equal((await find({}, half)).finding.kind, 'none');
  assert.deepEqual((await find({ ipFamily: 'IPv6' }, HOST)).asked, ['AAAA mx.example']);
});

test('a host whose TLSA records could have no name has none, and is not failed by that', async () => {
  const label = 'x'.repeat(60);
  const host = `${label}.${label}.${label}.${'y'.repeat(57)}.example`;
  const { finding, asked } = await find({ host }, { [`A ${host}`]: address(host) });
  assert.equal(finding.kind, 'none');
  assert.deepEqual(asked, [`A ${host}`, `AAAA ${host}`]);
});

test('unsigned records are none, unusable ones still want TLS, and more than a hundred are not compared', async () => {
  const kind = async (answer: Answer) =>
    (await find({}, { ...HOST, 'TLSA _25._tcp.mx.example': answer })).finding;
  assert.equal((await kind(tlsa(1, {}, false))).kind, 'none');
  assert.equal((await kind(tlsa(1, { usage: 1 }))).kind, 'unusable');
  assert.equal((await kind(tlsa(100))).kind, 'records');
  const many = await kind(tlsa(1_000));
  assert.ok(many.kind === 'failed' && many.failure.cause === 'tlsa-invalid' && !many.failure.permanent);
});

test('a look-up that fails makes the mail wait, and says which one and why', async () => {
  for (const [answers, what] of [
    [{ ...HOST, 'TLSA _25._tcp.mx.example': broken() }, /TLSA records of mx\.example: it is broken/],
    [{ 'A mx.example': broken() }, /addresses of mx\.example/],
    [{ 'A mx.example': address('x.example', false), 'CNAME mx.example': broken() }, /alias mx\.example/],
  ] as const) {
    const { finding } = await find({}, answers);
    assert.ok(finding.kind === 'failed' && what.test(finding.failure.text), JSON.stringify(finding));
    assert.deepEqual([finding.failure.cause, finding.failure.permanent], ['dns', false]);
  }
  const bogus = await find({}, { ...HOST, 'TLSA _25._tcp.mx.example': broken(true) });
  assert.equal(bogus.finding.kind === 'failed' && bogus.finding.failure.cause, 'dnssec-invalid');
  // One family that answers is enough.
  const six = { 'A mx.example': broken(), 'AAAA mx.example': address('mx.example') };
  assert.equal((await find({}, { ...six, 'TLSA _25._tcp.mx.example': tlsa() })).finding.kind, 'records');
});

test('the end of an alias comes before its own name, and a failure there ends the search', async () => {
  const alias = { 'A mx.example': address('end.example') };
  const at = (name: string) => `TLSA _25._tcp.${name}`;
  const base = async (answers: Record<string, Answer>) => {
    const { finding } = await find({}, { ...alias, ...answers });
    return finding.kind === 'records' ? finding.base : finding.kind;
  };
  assert.equal(await base({ [at('end.example')]: tlsa(), [at('mx.example')]: tlsa() }), 'end.example');
  assert.equal(await base({ [at('mx.example')]: tlsa() }), 'mx.example');
  assert.equal(await base({ [at('end.example')]: broken(), [at('mx.example')]: tlsa() }), 'failed');
  assert.equal(
    await base({ [at('end.example')]: tlsa(1, { usage: 0 }), [at('mx.example')]: tlsa() }),
    'unusable',
  );
});

test('addresses and names of the cluster are never asked for', async () => {
  for (const host of [
    '192.0.2.1',
    '2001:db8::1',
    '[127.0.0.1]',
    '0x7f.1',
    'mailstore',
    'store.mail.svc',
    'store.mail.svc.cluster.local.',
    'a.internal',
  ]) {
    const { finding, asked } = await find({ host }, {});
    assert.equal(finding.kind, 'none', host);
    assert.deepEqual(asked, [], host);
  }
  assert.notDeepEqual((await find({ host: 'svc.example' }, {})).asked, []);
});

/** Finds it twice at each of the times; tells how many questions were asked after each. */
async function countAsked(hop: NextHop, answers: Readonly<Record<string, Answer>>, times: readonly number[]) {
  let now = 0;
  let asked = 0;
  const lookUp = async (name: string, type: string) => {
    asked += 1;
    return answers[`${type} ${name}`] ?? { kind: 'absent', name, exists: true, ...signed, until: 300 };
  };
  const findings = new DaneFindings({ lookUp } as Dns, () => now);
  const counts: number[] = [];
  for (const time of times) {
    now = time;
    assert.deepEqual(await findings.find(hop), await findings.find(hop));
    counts.push(asked);
  }
  return counts;
}

test('a finding counts until the first of its answers is over', async () => {
  const hop = hopTo(25, { host: 'mx.example' });
  const until = (answer: Answer, end: number) => ({ ...answer, until: end }) as Answer;
  const TLSA = 'TLSA _25._tcp.mx.example';
  for (const [answers, counts] of [
    [{ 'A mx.example': until(address('mx.example'), 200), [TLSA]: until(tlsa(), 100) }, [3, 3, 9]],
    [{ 'A mx.example': until(address('mx.example'), 100), [TLSA]: until(tlsa(), 200) }, [3, 3, 9]],
    [{ 'A mx.example': until(address('mx.example'), 200), [TLSA]: until(tlsa(), 200) }, [3, 3, 3]],
    [{ 'A mx.example': until(address('mx.example'), 200) }, [3, 3, 3]],
    // A long answer is not kept, and neither is a failure.
    [{ 'A mx.example': until(address('mx.example'), 200), [TLSA]: tlsa() }, [6, 12, 18]],
    [{ 'A mx.example': until(address('mx.example'), 200), [TLSA]: broken() }, [6, 12, 18]],
  ] as const)
    assert.deepEqual(await countAsked(hop, answers, [0, 99, 100]), counts);
});

test('a finding is the same value for all messages to a hop of the manifest, and is not kept for one out of MX records', async () => {
  const lookUp = async () => ({ ...address('mx.example'), until: 1 });
  const findings = new DaneFindings({ lookUp } as unknown as Dns, () => 0);
  const hop = hopTo(25, { host: 'mx.example' });
  assert.equal(await findings.find(hop), await findings.find(hop));
  assert.notEqual(await findings.find({ ...hop, port: 26 }), await findings.find(hop));
  const outOfMx = { ...hop, mxOf: 'example' };
  assert.notEqual(await findings.find(outOfMx), await findings.find(outOfMx));
});

test('a finding for which nothing was asked is made anew: which names are local changes with resolv.conf', async (t) => {
  let text = 'search svc.corp.example\n';
  t.mock.getter(SYSTEM_DNS, 'text', () => text);
  const hop = hopTo(25, { host: 'mx.svc.corp.example' });
  const answers = { 'A mx.svc.corp.example': address('mx.svc.corp.example') };
  const lookUp = async (name: string, type: string) =>
    (answers as Record<string, Answer>)[`${type} ${name}`] ?? tlsa();
  const findings = new DaneFindings({ lookUp } as Dns, () => 0);
  assert.equal((await findings.find(hop)).kind, 'none');
  text = 'search home.example\n';
  assert.equal((await findings.find(hop)).kind, 'records');
});
