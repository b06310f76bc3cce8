/**
 * The story of dane.test.ts: a signed tree, hops with every kind of certificate, and a real Postfix at level `dane` that
 * sends to the same destinations. Both must do the same with each, and the table is docs/dane.md.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { DnsTree } from '#test/kit/dnstree.ts';
import { Hop } from '#test/kit/hop.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { Postfix } from '#test/kit/postfix.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { makeCases } from './danecases.ts';
import {
  ADDRESSES,
  BIG_DOMAIN,
  type Case,
  type HopName,
  makeTlsa,
  makeZones,
  NAMED,
  type Outcome,
  TARGETS,
} from './danezones.ts';
import { accepted, findEnd, startRelay } from './story.ts';

const DNS = '192.0.2.9';
const JUDGE = { address: '192.0.2.8', port: 2525 };
const TABLE = new URL('../../docs/dane.md', import.meta.url);
const HEAD = `# DANE, beside Postfix

What this relay and Postfix 3.7 (\`smtp_tls_security_level = dane\`, or \`dane-only\` where the level is \`Dane\`) do with mail for the same
destinations: the same. \`test/delivery/dane.story.ts\` makes this table on real parts and compares it. *verified*: the
certificate proved who the hop is. *encrypted*: it did not, or did not have to.

| what the destination publishes | relay | Postfix |
| --- | --- | --- |
`;

const openssl = new OpensslAuthority();
const root = openssl.issue('root', CA);
let tree: DnsTree;
let relay: TestRelay;
let judge: Postfix;
let cases: Case[];
const hops: Hop[] = [];

/** Hops with an issuer between their certificate and the root. */
function below(names: readonly string[]): Partial<Record<HopName, Pair>> {
  const own = [`subjectAltName=${names.map((name) => `DNS:${name}`).join()}`];
  const make = (issuer: readonly string[], by: readonly Pair[] = [root], ...more: string[]): Pair => {
    const ca = openssl.issue('issuer', [...CA, ...issuer], by[0]);
    const pair = openssl.issue('host', [...own, ...more], ca);
    return { ...pair, cert: [pair, ca, ...by].map(({ cert }) => cert).join('') };
  };
  const [, ...short] = CA;
  const last = openssl.issue('last', ['basicConstraints=critical,CA:true,pathlen:0', ...short], root);
  return {
    lower: make([]),
    tooLow: make([], [last, root]),
    excluded: make(['nameConstraints=critical,permitted;DNS:other.example']),
    clients: make([], [root], 'extendedKeyUsage=clientAuth'),
  };
}

before(async () => {
  const authority = await makeAuthority('signing authority');
  const placeholder = makeCases(() => '3 1 1 00');
  const names = placeholder.flatMap(({ domain }) => [`mx.${domain}`]);
  const chain = async (...args: Parameters<typeof authority.issue>): Promise<Pair> => {
    const pair = await authority.issue(...args);
    return { ...pair, cert: pair.cert + authority.cert };
  };
  const pairs: Partial<Record<HopName, Pair>> = {
    right: await chain(names),
    other: { ...(await makePair('self.example')), serial: '' },
    expired: await chain(names, { from: -30, until: -1 }),
    misnamed: await chain(['mx.elsewhere.example']),
    strips: await chain(names),
    target: await chain([...TARGETS, NAMED]),
    bare: await authority.issue(names),
    ...below(names),
  };
  cases = makeCases(makeTlsa({ authority: authority.cert, root: root.cert, pairs }));
  for (const [name, host] of Object.entries(ADDRESSES) as [HopName, string][]) {
    const answer = ({ step }: { step: string }) =>
      name === 'strips' && step === 'STARTTLS' ? '454 4.7.0 not now' : undefined;
    hops.push(await Hop.start({ port: 25, host, pair: pairs[name], answer }));
  }
  tree = await DnsTree.start({
    zones: makeZones(cases),
    address: DNS,
    dead: '192.0.2.7',
    resolver: ['127.0.0.1@53', '127.0.0.1@10053'],
  });
  const floors = cases.filter(({ floor }) => floor).map(({ domain }) => domain);
  relay = await startRelay({
    outbound: `
tls: {level: Opportunistic, discover: [DANE]}
resolver: {addresses: ["127.0.0.1:10053"], trustAD: true}
routes:
  - {recipientDomains: [${floors.join(', ')}], tls: {level: Dane}}
  - {recipientDomains: [to-right.example], hosts: [{host: mx.u211.signed.example., tls: {level: Dane}}]}
  - {recipientDomains: [to-wrong.example], hosts: [{host: mx.wrong.signed.example., tls: {level: None}}]}
  - {recipientDomains: [to-none.example], hosts: [{host: mx.none.signed.example., tls: {level: Dane}}]}
`,
  });
  judge = await Postfix.start({
    ...JUDGE,
    settings: [
      'virtual_mailbox_domains =',
      'virtual_mailbox_maps =',
      'smtp_host_lookup = dns',
      'smtp_dns_support_level = dnssec',
      'smtp_tls_security_level = dane',
      `smtp_tls_policy_maps = inline:{ ${floors.map((domain) => `{ ${domain} = dane-only }`).join(', ')} }`,
      'smtp_tls_loglevel = 1',
      'smtp_destination_concurrency_limit = 20',
    ],
  });
});

after(async () => {
  openssl.remove();
  await relay?.remove();
  judge?.stop();
  for (const hop of hops) await hop.down();
  await tree?.stop();
});

const findLine = (domain: string) => findEnd(relay, domain);

function relayOutcome(domain: string): Outcome | undefined {
  const line = findLine(domain);
  if (line === undefined) return undefined;
  if (line['event'] !== 'delivered') return line['event'] === 'bounced' ? 'returned' : 'waits';
  if (line['tls'] === 'none') return 'plain';
  return line['verified'] === true ? 'verified' : 'encrypted';
}

function postfixOutcome(domain: string): Outcome | undefined {
  const log = judge.log();
  const line = log.split('\n').find((one) => one.includes(`to=<a@${domain}>`) && one.includes('status='));
  const status = /status=(\w+)/.exec(line ?? '')?.[1];
  if (line === undefined || status === undefined) return undefined;
  if (status !== 'sent') return status === 'bounced' ? 'returned' : 'waits';
  const host = /relay=([^[]+)\[/.exec(line)?.[1] ?? '';
  const [, quality] = new RegExp(`(\\w+) TLS connection established to ${host}\\[`).exec(log) ?? [];
  if (quality === undefined) return 'plain';
  return quality === 'Verified' ? 'verified' : 'encrypted';
}

test('each destination gets what it must, and what Postfix gives it', async () => {
  const client = await SmtpClient.connect(JUDGE.port, JUDGE.address);
  await client.hello();
  for (const { domain } of cases) {
    await accepted(relay, { id: domain, to: [`a@${domain}`] });
    const steps = [
      'MAIL FROM:<judge@client.example>',
      `RCPT TO:<a@${domain}>`,
      'DATA',
      `${messageText(domain)}\r\n.`,
    ];
    for (const step of steps) assert.match(await client.command(step), /^[23]/, step);
  }
  await client.quit();
  const rows: string[] = [];
  const wrong: string[] = [];
  for (const { domain, what, expected } of cases) {
    const ours = await until(`the relay about ${domain}`, () => relayOutcome(domain), 60_000);
    const theirs = await until(`Postfix about ${domain}`, () => postfixOutcome(domain), 60_000);
    rows.push(`| ${what} | ${ours} | ${theirs} |`);
    if (ours !== expected || theirs !== expected)
      wrong.push(
        `${domain}: expected ${expected}, relay ${ours}, Postfix ${theirs}: ${JSON.stringify(findLine(domain))}`,
      );
  }
  assert.deepEqual(wrong, []);
  const table = `${HEAD}${rows.join('\n')}\n`;
  if (process.env['UPDATE_GOLDEN']) writeFileSync(TABLE, table);
  assert.equal(readFileSync(TABLE, 'utf8'), table, 'docs/dane.md is not what happens: set UPDATE_GOLDEN=1');
});

test('the reason of a level stands in the log, and of what waits in the deferral', () => {
  const rule = (label: string) => String(findLine(`${label}.example`)?.['tlsRule']);
  assert.equal(rule('u311.signed'), 'DANE: TLSA records of mx.u311.signed.example');
  assert.equal(rule('c-target.signed'), 'DANE: TLSA records of target-c-target.signed.example');
  assert.match(rule('pkix.signed'), /^DANE: no TLSA record of mx\.pkix\.signed\.example is usable/);
  assert.match(
    rule('mx.unsigned'),
    /^DANE: TLSA records of .*, the MX of mx\.unsigned\.example is not signed/,
  );
  assert.match(
    rule('none.signed'),
    /^level Opportunistic, no DANE: mx\.none\.signed\.example has no signed TLSA record/,
  );
  const reason = (label: string) => JSON.stringify(findLine(`${label}.example`));
  assert.match(reason('wrong.signed'), /"cause":"tlsa-invalid".*no TLSA record matches its certificate/);
  assert.match(reason('expired-ta.signed'), /"cause":"certificate-expired"/);
  assert.match(reason('misnamed-ta.signed'), /"cause":"certificate-host-mismatch"/);
  assert.match(reason('nostarttls.signed'), /"cause":"starttls-missing"/);
  assert.match(reason('mx.bogus'), /"cause":"dnssec-invalid".*MX of mx\.bogus\.example.*bogus/);
  assert.match(reason('mx.expired'), /"cause":"dnssec-invalid"/);
  assert.match(reason('t-bogus.signed'), /"cause":"dnssec-invalid".*TLSA records/);
  assert.match(reason('mx.lame'), /"cause":"dns"/);
  assert.match(reason('f-none.signed'), /"cause":"dane-required".*TLS level Dane is not met/);
});

test('SNI asks for the name that the records were found at, as Postfix does', () => {
  const asked = (label: string) =>
    hops
      .flatMap(({ taken }) => taken)
      .filter(({ to }) => to.includes(`a@${label}.signed.example`))
      .map(({ servername }) => servername);
  for (const [label, base] of [
    ['u311', 'mx.u311'],
    ['c-target', 'target-c-target'],
    ['c-own', 'mx.c-own'],
    ['c-out', 'mx.c-out'],
    ['d-alias', 'mx.d-one'],
  ] as const)
    assert.deepEqual(asked(label), Array(2).fill(`${base}.signed.example`), label);
});

test('a host of the manifest has DANE too, and its records raise level None', async () => {
  const outcome = async (label: string) => {
    const domain = `${label}.example`;
    await accepted(relay, { id: label, to: [`a@${domain}`] });
    const host = `mx.${label === 'to-right' ? 'u211' : label.slice(3)}.signed.example`;
    const isAbout = (line: string) =>
      line.includes(`"to":"a@${domain}"`) || line.includes(`"destination":"${host}.:25"`);
    const known = () =>
      relay.stderr.split('\n').find((line) => /"event":"de(liver|ferr)ed"/.test(line) && isAbout(line));
    return until(`the relay about ${domain}`, known);
  };
  assert.match(await outcome('to-right'), /"event":"delivered".*"tlsLevel":"Dane".*"verified":true/);
  assert.match(await outcome('to-wrong'), /"event":"deferred".*"cause":"tlsa-invalid"/);
  assert.match(await outcome('to-none'), /"event":"deferred".*"cause":"dane-required"/);
});

test('the status tells what DANE proved and would make wait, and explain follows the same way', async () => {
  const outbound = await until('the deliveries', async () => (await relay.status()).outbound);
  const proven = outbound.verifiedBy.find(({ value }) => value === 'DANE')?.count ?? 0;
  assert.ok(proven > 0 && proven < outbound.deliveries, JSON.stringify(outbound.verifiedBy));
  assert.ok(outbound.level.some(({ value }) => value === 'Dane'));
  const waiting = outbound.wouldWait.find(({ level }) => level === 'Dane');
  assert.ok((waiting?.destinations ?? 0) > 0 && (waiting?.destinations ?? 0) < outbound.deliveries);
  const explain = async (domain: string) =>
    (await mailrelay(['explain', `a@${domain}`, '-f', join(relay.dir, 'relay.yaml'), '--connect'])).stdout;
  const good = await explain('u311.signed.example');
  assert.match(good, /^MX +those of u311\.signed\.example, proven by DNSSEC$/m);
  assert.match(good, /^ {2}TLSA +of mx\.u311\.signed\.example: 3 1 1 /m);
  assert.match(good, /^ {2}level +Dane, because: DANE: TLSA records of mx\.u311\.signed\.example$/m);
  assert.match(good, /^ {2}connected +.*, verified by DANE$/m);
  const none = await explain('none.signed.example');
  assert.match(none, /^ {2}TLSA +none: mx\.none\.signed\.example has no signed TLSA record/m);
  assert.match(none, /^ +Dane would have made the mail wait: /m);
  assert.match(await explain('wrong.signed.example'), /^ {2}connected +no: .*no TLSA record matches/m);
  assert.match(await explain('t-bogus.signed.example'), /^ {2}level +no connection is made: .*bogus/m);
});

test('a thousand TLSA records are not compared, and the mail waits', async () => {
  await accepted(relay, { id: 'big', to: [`a@${BIG_DOMAIN}`] });
  const line = await until('the reason', () => findLine(BIG_DOMAIN));
  assert.match(
    JSON.stringify(line),
    /Cannot look up the TLSA records of mx\.big.*bogus|1000 TLSA records, and at most 100 are compared/,
  );
});

test('a resolver that is gone makes mail wait, and what it said before still counts for its time', async () => {
  await tree.stop();
  await accepted(relay, { id: 'gone', to: ['a@later.signed.example'] });
  const line = await until('the reason', () => findLine('later.signed.example'), 60_000);
  assert.match(JSON.stringify(line), /the name server (cannot be reached|does not answer)/);
  assert.equal(line?.['event'], 'deferred');
});
