/**
 * The story of ladder.test.ts: destinations with TLSA records and an MTA-STS policy. DANE decides where the records are
 * proven, whatever the policy says (RFC 8461 section 2); the policy decides where there are none. With neither, and at every
 * level of the spec: rows of test/golden/files/tlsdecision.txt.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requiresTls, TLS_LEVELS, type TlsLevel } from '#crds/tlslevel.ts';
import { makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { DnsTree, type Zone } from '#test/kit/dnstree.ts';
import { Hop } from '#test/kit/hop.ts';
import { type PolicyAnswer, PolicyHost, policyText } from '#test/kit/policyhost.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, findEnd, objectOf, startRelay } from './story.ts';

const [ISSUED, SELF_SIGNED, POLICIES, PLAIN, DNS] = [
  '192.0.2.1',
  '192.0.2.2',
  '192.0.2.3',
  '192.0.2.4',
  '192.0.2.9',
];

interface Destination {
  readonly zone: 'signed' | 'unsigned' | 'bogus';
  /** Without STARTTLS where it is PLAIN. */
  readonly hop: typeof ISSUED | typeof SELF_SIGNED | typeof PLAIN;
  /** The level of its route. Absent: that of the spec. */
  readonly level?: TlsLevel;
  /** The hop whose key the TLSA record has. */
  readonly tlsa?: typeof ISSUED | typeof SELF_SIGNED;
  /** The MX host that the policy in mode enforce names: that of the domain, or another one. */
  readonly policy?: 'names' | 'misses';
  /** The rule by which it is delivered, and how; or the cause for which it waits. */
  readonly ends: { readonly by: RegExp; readonly how?: 'plain' | 'encrypted' } | { readonly cause: string };
}

const HOW: Readonly<Partial<Record<TlsLevel, 'plain' | 'encrypted'>>> = {
  None: 'plain',
  Opportunistic: 'encrypted',
  Encrypt: 'encrypted',
};
const BY_DANE = { by: /^DANE: TLSA records of/ };
const BY_POLICY = { by: /the MTA-STS policy of/ };
const PUBLISHED: Readonly<Record<string, Destination>> = {
  agree: { zone: 'signed', hop: ISSUED, tlsa: ISSUED, policy: 'names', ends: BY_DANE },
  // The policy would refuse the certificate, and then the host.
  untrusted: { zone: 'signed', hop: SELF_SIGNED, tlsa: SELF_SIGNED, policy: 'names', ends: BY_DANE },
  unnamed: { zone: 'signed', hop: ISSUED, tlsa: ISSUED, policy: 'misses', ends: BY_DANE },
  // The policy would take the certificate.
  wrong: { zone: 'signed', hop: ISSUED, tlsa: SELF_SIGNED, policy: 'names', ends: { cause: 'tlsa-invalid' } },
  spoilt: { zone: 'bogus', hop: ISSUED, tlsa: ISSUED, policy: 'names', ends: { cause: 'dnssec-invalid' } },
  recordless: { zone: 'signed', hop: ISSUED, policy: 'names', ends: BY_POLICY },
  insecure: { zone: 'unsigned', hop: ISSUED, tlsa: SELF_SIGNED, policy: 'names', ends: BY_POLICY },
  stranger: { zone: 'unsigned', hop: SELF_SIGNED, policy: 'names', ends: { cause: 'certificate-untrusted' } },
  elsewhere: { zone: 'signed', hop: ISSUED, policy: 'misses', ends: { cause: 'sts-mx-mismatch' } },
};
const LEVELLED: Readonly<Record<string, Destination>> = Object.assign({}, ...TLS_LEVELS.map(atLevel));
const DESTINATIONS = { ...PUBLISHED, ...LEVELLED };

/** What the spec says of a destination counts where nothing is published, and level Dane does always. */
function atLevel(level: TlsLevel): Record<string, Destination> {
  const name = level.toLowerCase();
  const by = new RegExp(`^level ${level}`);
  const isDane = level === 'Dane';
  const lacks = { cause: 'dane-required' };
  const bare = isDane ? lacks : { by, ...(HOW[level] ? { how: HOW[level] } : {}) };
  const plain = requiresTls(level) ? { cause: 'starttls-missing' } : { by, how: 'plain' as const };
  return {
    [`${name}-agree`]: { zone: 'signed', hop: ISSUED, tlsa: ISSUED, policy: 'names', level, ends: BY_DANE },
    [`${name}-recordless`]: {
      zone: 'signed',
      hop: ISSUED,
      policy: 'names',
      level,
      ends: isDane ? lacks : BY_POLICY,
    },
    [`${name}-bare`]: { zone: 'signed', hop: ISSUED, level, ends: bare },
    [`${name}-plain`]: { zone: 'signed', hop: PLAIN, level, ends: isDane ? lacks : plain },
  };
}
const domainOf = (name: string) => `${name}.${DESTINATIONS[name]?.zone}.example`;
const DOMAINS = Object.keys(DESTINATIONS).map(domainOf);

let tree: DnsTree;
let policies: PolicyHost;
let relay: TestRelay;
const hops: Hop[] = [];

function zonesOf(pairs: Readonly<Record<string, Pair>>): Zone[] {
  const recordsOf = (name: string, { hop, tlsa, policy }: Destination) => {
    const [domain, cert] = [domainOf(name), tlsa && pairs[tlsa]?.cert];
    const { data = '' } = cert ? tlsaRecord(new X509Certificate(cert), 3, 1, 1) : {};
    return [
      `${domain}. MX 10 mx.${domain}.`,
      `mx.${domain}. A ${hop}`,
      ...(data === '' ? [] : [`_25._tcp.mx.${domain}. TLSA 3 1 1 ${data}`]),
      ...(policy ? [`_mta-sts.${domain}. TXT "v=STSv1; id=1;"`, `mta-sts.${domain}. A ${POLICIES}`] : []),
    ];
  };
  const zones = ['signed', 'unsigned', 'bogus'] as const;
  return [
    { name: 'example', state: 'signed', records: [] },
    ...zones.map((state) => ({
      name: `${state}.example`,
      state,
      records: Object.entries(DESTINATIONS).flatMap(([name, one]) =>
        one.zone === state ? recordsOf(name, one) : [],
      ),
    })),
  ];
}

before(async () => {
  const authority = await makeAuthority();
  const pairs = {
    [ISSUED]: await authority.issue(DOMAINS.map((domain) => `mx.${domain}`)),
    [SELF_SIGNED]: { ...(await makePair('self.example')), serial: '' },
  };
  for (const [host, pair] of Object.entries(pairs)) hops.push(await Hop.start({ port: 25, host, pair }));
  const answers: Record<string, PolicyAnswer> = {};
  for (const [name, { policy }] of Object.entries(DESTINATIONS)) {
    const domain = domainOf(name);
    const answer = policyText('enforce', [policy === 'names' ? `mx.${domain}` : 'mx.other.example']);
    answers[domain] = { pair: await authority.issue([`mta-sts.${domain}`]), answer };
  }
  hops.push(await Hop.start({ port: 25, host: PLAIN }));
  policies = await PolicyHost.start(answers, POLICIES);
  const resolver = ['127.0.0.1@53', '127.0.0.1@10053'];
  tree = await DnsTree.start({ zones: zonesOf(pairs), address: DNS, dead: '192.0.2.7', resolver });
  const routes = Object.entries(LEVELLED).map(
    ([name, { level }]) => `  - {recipientDomains: [${domainOf(name)}], tls: {level: ${level}}}`,
  );
  relay = await startRelay({
    outbound: `
tls: {level: Opportunistic, discover: [DANE, MTASTS], trustConfigMapName: roots}
resolver: {addresses: ["127.0.0.1:10053"], trustAD: true}
routes:
${routes.join('\n')}
`,
    documents: objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert }),
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  policies?.stop();
  await tree?.stop();
});

test('each destination is delivered by the rule that decides, or waits for its reason', async () => {
  for (const domain of DOMAINS) await accepted(relay, { id: domain, to: [`a@${domain}`] });
  for (const [name, { ends }] of Object.entries(DESTINATIONS)) {
    const end = await until(`the end of ${name}`, () => findEnd(relay, domainOf(name)), 60_000);
    const told = `${name}: ${JSON.stringify(end)}`;
    if ('by' in ends) {
      const { how = 'verified' } = ends;
      const facts = [end['event'], end['tls'] !== 'none', end['verified']];
      assert.deepEqual(facts, ['delivered', how !== 'plain', how === 'verified'], told);
      assert.match(String(end['tlsRule']), ends.by, told);
    } else assert.deepEqual([end['event'], end['cause']], ['deferred', ends.cause], told);
  }
});

test('explain tells the same before anything is sent, and what a connection would end in', async () => {
  for (const [name, { ends }] of Object.entries(PUBLISHED)) {
    const args = ['explain', `a@${domainOf(name)}`, '-f', join(relay.dir, 'relay.yaml'), '--connect'];
    const { stdout } = await mailrelay(args);
    if ('by' in ends) {
      const [, rule = ''] = /^ {2}level +\w+, because: (.*)$/m.exec(stdout) ?? [];
      assert.match(rule, ends.by, stdout);
      assert.match(stdout, /^ {2}connected +.*, verified by /m);
    } else assert.match(stdout, /the mail waits$|^ {2}(level|connected) +no/m);
  }
});
