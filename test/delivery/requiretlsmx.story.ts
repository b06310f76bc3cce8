/** The story of requiretlsmx.test.ts: what proves the name of an MX host to a sender that requires TLS (RFC 8689 section 4.2.1). */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { PolicyHost, policyText } from '#test/kit/policyhost.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { until } from '#test/kit/wait.ts';
import { findEnd, manifestOf, objectOf } from './story.ts';

const TOO_OLD = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
const OFFERS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 100000000'];
const [FIT, UNWILLING, SELF, POLICY, OLD] = ['192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5', '192.0.2.6'];
const [PROVIDER, OTHER, MIXED, DUAL, DANE, WRONG] = [
  'mx.provider.example',
  'other.provider.example',
  'mixed.provider.example',
  'dual.provider.example',
  'mx.dane.example',
  'wrong.dane.example',
];

/** By domain: its MX hosts, whether they are signed, the mode of its MTA-STS policy, and how its mail ends. */
type Case = readonly [hosts: readonly string[], isSigned: boolean, mode: Mode, end: RegExp];
type Mode = 'enforce' | 'testing' | null;
const CASES: Readonly<Record<string, Case>> = {
  'dane.example': [[DANE], true, null, /^delivered Dane, DANE: TLSA records of mx\.dane\.example$/],
  'signed.example': [[PROVIDER], true, null, /^delivered Verify, the sender gave REQUIRETLS$/],
  'sts.example': [[PROVIDER], false, 'enforce', /^delivered Verify, the MTA-STS policy of sts\.example$/],
  'second.example': [[OTHER, WRONG, DANE], true, null, /^delivered Dane, /],
  'mixed.example': [[MIXED], true, null, /^delivered Verify, the sender gave REQUIRETLS$/],
  'unsigned.example': [[PROVIDER], false, null, /^bounced 5\.7\.30 .*Host: unsigned\.example/],
  'dual.example': [[DUAL], false, null, /^bounced 5\.7\.30 .*Host: dual\.example/],
  'testing.example': [[PROVIDER], false, 'testing', /^bounced 5\.7\.30 .*Host: testing\.example/],
  'records.example': [[DANE], false, null, /^bounced 5\.7\.30 .*self-signed/],
  'unwilling.example': [[OTHER], false, 'enforce', /^bounced 5\.7\.30 .*does not offer REQUIRETLS$/],
};

function namesOf([domain, [hosts, isSigned, mode]]: [string, Case]): Record<string, Names[string]> {
  const signed = isSigned ? { isSigned } : {};
  const mx = { MX: hosts.map((host, index) => [index, host] as [number, string]), ...signed };
  const policy = {
    [`_mta-sts.${domain}`]: { TXT: ['v=STSv1; id=1'] },
    [`mta-sts.${domain}`]: { A: [POLICY] },
  };
  return { [domain]: mx, ...(mode === null ? {} : policy) };
}

let authority: Authority;
let names: NameServer;
let policies: PolicyHost;
let relay: TestRelay;
const hops: Hop[] = [];

async function startPolicies(): Promise<PolicyHost> {
  const answers = Object.entries(CASES).flatMap(([domain, [, , mode]]) =>
    mode === null ? [] : [{ domain, answer: policyText(mode, ['*.provider.example']) }],
  );
  const pair = await authority.issue(answers.map(({ domain }) => `mta-sts.${domain}`));
  const served = answers.map(({ domain, answer }) => [domain, { pair, answer }] as const);
  return PolicyHost.start(Object.fromEntries(served), POLICY);
}

before(async () => {
  authority = await makeAuthority();
  const pair = await authority.issue([PROVIDER, OTHER, MIXED]);
  const self = (await makePair('self.example')) as Pair;
  const capable = [...OFFERS, 'REQUIRETLS'];
  hops.push(
    await Hop.start({ port: 25, host: FIT, pair, offers: capable }),
    await Hop.start({ port: 25, host: UNWILLING, pair, offers: OFFERS }),
    await Hop.start({ port: 25, host: OLD, pair, offers: capable, tls: TOO_OLD }),
    await Hop.start({ port: 25, host: SELF, pair: self, offers: capable }),
  );
  const tlsa = (data: Buffer) => ({ TLSA: [data], isSigned: true });
  names = await NameServer.start({
    ...Object.assign({}, ...Object.entries(CASES).map(namesOf)),
    [PROVIDER]: { A: [FIT] },
    [OTHER]: { A: [UNWILLING] },
    [MIXED]: { A: [OLD, FIT] },
    // There is no way to it from here.
    [DUAL]: { A: [FIT], AAAA: ['2001:db8::25'] },
    [DANE]: { A: [SELF], isSigned: true },
    [WRONG]: { A: [SELF], isSigned: true },
    [`_25._tcp.${DANE}`]: tlsa(Buffer.from(tlsaRecord(self.cert, 3, 1, 1).data, 'hex')),
    [`_25._tcp.${WRONG}`]: tlsa(Buffer.alloc(32)),
    'client.example': { MX: [[10, PROVIDER]], isSigned: true },
  });
  policies = await startPolicies();
  const outbound = `
tls: {level: Opportunistic, trustConfigMapName: roots}
resolver: {addresses: [127.0.0.1], trustAD: true}`;
  const roots = objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert });
  const documents = `${roots}${secretOf('relay-tls', await makePair())}`;
  relay = await TestRelay.start({
    manifest: ([port]) =>
      manifestOf(port, { outbound, documents }).replace(
        /inbound:\s+starttls: Disabled/,
        'tls: {secretName: relay-tls}\n  inbound:',
      ),
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  policies?.stop();
  names?.stop();
});

async function send(domain: string): Promise<void> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  await client.command('STARTTLS');
  await client.startTls({});
  const steps = ['EHLO client.example', 'MAIL FROM:<me@client.example> REQUIRETLS', `RCPT TO:<a@${domain}>`];
  for (const step of [...steps, 'DATA', `${messageText(domain)}\r\n.`])
    assert.match(await client.command(step), /^[23]/, step);
  await client.quit();
}

test('DANE, a signed MX record or an enforced MTA-STS policy proves the name of the host, and nothing else does', async () => {
  for (const domain of Object.keys(CASES)) await send(domain);
  for (const [domain, [, , , end]] of Object.entries(CASES)) {
    const line = await until(`the end of the mail for ${domain}`, () => findEnd(relay, domain));
    const { event, tlsLevel, tlsRule, reason } = line;
    assert.match(`${event} ${event === 'delivered' ? `${tlsLevel}, ${tlsRule}` : reason}`, end, domain);
  }
  const isTold = () => hops.flatMap((hop) => hop.taken).length === Object.keys(CASES).length;
  await until('all mail and all reports to arrive', isTold);
  for (const line of hops.flatMap((hop) => hop.lines('MAIL'))) assert.match(line, / REQUIRETLS\b/);
});
