/** The story of explain.test.ts: DNS on port 53, MX hosts on port 25, a policy host on port 443, and no relay. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { PolicyHost, policyText } from '#test/kit/policyhost.ts';
import { mailrelay } from '#test/kit/relay.ts';
import { manifestOf, objectOf } from './story.ts';

const [POLICIES, PROVEN, PLAIN, OLD] = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];
const ANNOUNCED = { TXT: ['v=STSv1; id=1;'] };

const NAMES: Names = {
  'good.example': {
    MX: [
      [10, 'mx.good.example'],
      [20, 'mx.plain.example'],
    ],
  },
  'mx.good.example': { A: [PROVEN] },
  '_mta-sts.good.example': ANNOUNCED,
  'mta-sts.good.example': { A: [POLICIES] },
  'plain.example': { MX: [[10, 'mx.plain.example']] },
  'mx.plain.example': { A: [PLAIN] },
  'old.example': { MX: [[10, 'mx.old.example']] },
  'mx.old.example': { A: [OLD] },
  'null.example': { MX: [[0, '.']] },
  'broken.example': { broken: true },
  'noaddress.example': { MX: [[10, 'mx.noaddress.example']] },
  'loopback.example': { MX: [[10, 'mx.loopback.example']] },
  'mx.loopback.example': { A: ['127.0.0.1'] },
  'mixed.example': {
    MX: [
      [10, 'mx.loopback.example'],
      [20, 'mx.noaddress.example'],
    ],
  },
  'implicit.example': { A: [PLAIN] },
  'unsaid.example': { MX: [[10, 'mx.plain.example']] },
  '_mta-sts.unsaid.example': { broken: true },
  'held.example': { MX: [[10, 'mx.plain.example']] },
};

interface Told {
  readonly rule: string;
  readonly ladder: {
    readonly mx: { readonly kind: string; readonly failure?: { readonly status: string } };
    readonly sts: { readonly kind: string; readonly mode?: string };
    readonly hosts: readonly {
      readonly host: string;
      readonly decision: {
        readonly kind: string;
        readonly policy?: { readonly level: string; readonly rule: string };
        readonly failure?: { readonly cause: string };
      };
      readonly failures?: Readonly<Record<string, string>>;
      readonly connection?: {
        readonly kind: string;
        readonly tls?: { readonly version: string } | null;
        readonly policy?: { readonly verifiedBy: string | null };
        readonly judgement?: Readonly<Record<string, { readonly cause: string } | null>>;
        readonly failure?: { readonly cause: string };
      };
    }[];
  };
}

interface Changed {
  readonly becomes: {
    readonly from: string;
    readonly to: readonly string[];
    readonly copies: readonly string[];
  };
  readonly others: readonly (Told & { readonly to: string })[];
}

let names: NameServer;
let policies: PolicyHost;
const hops: Hop[] = [];
const dir = mkdtempSync(join(tmpdir(), 'mailrelay-explain-'));
const file = join(dir, 'relay.yaml');

before(async () => {
  const authority = await makeAuthority();
  names = await NameServer.start(NAMES);
  policies = await PolicyHost.start(
    {
      'good.example': {
        pair: await authority.issue(['mta-sts.good.example']),
        answer: policyText('enforce', ['mx.good.example']),
      },
    },
    POLICIES,
  );
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
  hops.push(
    await Hop.start({ port: 25, host: PROVEN, pair: await authority.issue(['mx.good.example']) }),
    await Hop.start({ port: 25, host: PLAIN }),
    await Hop.start({ port: 25, host: OLD, pair: await authority.issue(['mx.old.example']), tls: old }),
  );
  const outbound = `
tls: {level: Opportunistic, discover: [MTASTS], trustConfigMapName: roots}
routes:
  - {recipientDomains: [strict.old.example], tls: {level: Encrypt}, hosts: [{host: mx.old.example.}]}
`;
  const documents = objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert });
  const entries = [
    '{address: a@alias.example, to: [a@good.example, b@plain.example]}',
    '{address: gone@alias.example, refuse: 5.1.6 Gone for good}',
  ];
  const copies = '[{address: a@alias.example, to: [box@archive.example]}]';
  const addresses = `{recipient: {entries: [${entries}]}, bcc: {recipient: {entries: ${copies}}}}`;
  writeFileSync(file, manifestOf(2525, { outbound, documents, addresses }));
});

after(async () => {
  rmSync(dir, { recursive: true, force: true });
  for (const hop of hops) await hop.down();
  policies?.stop();
  names?.stop();
});

const explain = (to: string, ...args: string[]) => explainWith(0, to, ...args);

async function explainWith(wanted: number, to: string, ...args: string[]): Promise<string> {
  const { stdout, stderr, status } = await mailrelay(['explain', to, '-f', file, ...args]);
  assert.equal(status, wanted, stderr);
  return stdout;
}

const told = async (to: string, ...args: string[]) =>
  JSON.parse(await explain(to, '-o', 'json', ...args)) as Told;

test('a domain with a policy: the host that it names is verified, another one is left out', async () => {
  const { ladder } = await told('a@good.example', '--connect');
  assert.deepEqual([ladder.mx.kind, ladder.sts.kind, ladder.sts.mode], ['found', 'policy', 'enforce']);
  const [best, other] = ladder.hosts;
  assert.deepEqual(
    [best?.decision.policy?.level, best?.connection?.policy?.verifiedBy],
    ['Verify', 'MTA-STS'],
  );
  assert.match(best?.decision.policy?.rule ?? '', /MTA-STS policy of good\.example/);
  assert.deepEqual(Object.values(best?.failures ?? {}), ['nextHost', 'nextHost', 'nextHost']);
  assert.deepEqual([other?.decision.failure?.cause, other?.connection], ['sts-mx-mismatch', undefined]);
  const text = await explain('a@good.example', '--connect');
  assert.match(text, /^MX +those of good\.example, not proven by DNSSEC$/m);
  assert.match(text, /^MTA-STS +mode enforce, MX hosts mx\.good\.example$/m);
  assert.match(text, /^ {2}connected +192\.0\.2\.2: TLSv1\.3, .*, verified by MTA-STS$/m);
});

test('a host in plain text: the reason, and what stricter levels would have said', async () => {
  const { ladder } = await told('a@plain.example', '--connect');
  const [host] = ladder.hosts;
  assert.deepEqual(Object.values(host?.failures ?? {}), ['plain text', 'plain text', 'not checked']);
  assert.deepEqual([host?.connection?.kind, host?.connection?.tls], ['session', null]);
  assert.equal(host?.connection?.judgement?.['Verify']?.cause, 'starttls-missing');
  assert.match(await explain('a@plain.example', '--connect'), /plain text: .*does not offer STARTTLS/);
});

test('an old host: encrypted at Opportunistic, and the handshake breaks at Encrypt', async () => {
  const [any] = (await told('a@old.example', '--connect')).ladder.hosts;
  assert.equal(any?.connection?.tls?.version, 'TLSv1');
  // No host gives a session, so the exit status is that of a fault.
  const strict: Told = JSON.parse(await explainWith(1, 'a@strict.old.example', '--connect', '-o', 'json'));
  assert.equal(strict.ladder.mx.kind, 'manifest');
  assert.deepEqual(
    [strict.ladder.hosts[0]?.connection?.kind, strict.ladder.hosts[0]?.connection?.failure?.cause],
    ['failed', 'handshake'],
  );
});

test('look-ups that end the way have their reason', async () => {
  for (const [domain, text] of [
    ['null.example', /^MX +5\.1\.10 .*null MX.*: the mail is returned$/m],
    ['missing.example', /^MX +5\.1\.2 .*does not exist: the mail is returned$/m],
    ['broken.example', /^MX +4\.4\.3 .*: the mail waits$/m],
  ] as const)
    assert.match(await explain(`a@${domain}`), text);
});

test('a policy that is not found is told apart from one that nobody could look up, and from an address', async () => {
  assert.match(await explain('a@plain.example'), /^MTA-STS +no policy is published; /m);
  assert.match(
    await explain('a@unsaid.example'),
    /^MTA-STS +the name server cannot say whether there is a policy/m,
  );
  assert.match(await explain(`a@[${PLAIN}]`), /^MTA-STS +not looked up$/m);
});

test('what becomes of the mail is said without a connection too', async () => {
  const waits = /^result +no host can be had now: the mail waits: 4\.4\.3 /m;
  const returned = /^result +no host can be had now: the mail is returned: 5\.4\.4 /m;
  const plain = /^ {2}STARTTLS +not offered: the mail goes on in plain text$/m;
  for (const [to, mx, outcome] of [
    ['a@noaddress.example', /^MX +those of noaddress\.example/m, waits],
    ['a@loopback.example', /^MX +those of loopback\.example/m, returned],
    ['a@mixed.example', /^MX +those of mixed\.example/m, waits],
    ['a@[127.0.0.1]', /^MX +not looked up: \[127\.0\.0\.1\] is an address$/m, returned],
    [`a@[${PLAIN}]`, /^MX +not looked up: \[192\.0\.2\.3\] is an address$/m, plain],
    ['a@implicit.example', /^MX +none: the host is implicit\.example itself \(RFC 5321/m, plain],
    ['a@plain.example', /^ {2}address +192\.0\.2\.3$/m, plain],
  ] as const) {
    const text = await explain(to);
    assert.match(text, mx);
    assert.match(text, outcome);
    if (outcome !== plain) assert.doesNotMatch(text, plain, to);
  }
});

test('an alias is followed to its addresses, a refusal is told, and copies are named', async () => {
  const { becomes, others, ...first } = (await told('a@alias.example', '--connect')) as Told & Changed;
  assert.deepEqual(becomes, {
    from: '',
    to: ['a@good.example', 'b@plain.example'],
    copies: ['box@archive.example'],
    isOfSubmitted: false,
    unseen: [],
    wrongTables: [],
  });
  assert.equal(first.ladder.hosts[0]?.host, 'mx.good.example');
  assert.deepEqual(
    others.map(({ to, ladder }) => [to, ladder.hosts[0]?.host, ladder.hosts[0]?.connection?.tls]),
    [['b@plain.example', 'mx.plain.example', null]],
  );
  const text = await explain('a@alias.example');
  assert.match(
    text,
    /^becomes +a@good\.example, b@plain\.example \(addresses\)\ncopy to +box@archive\.example$/m,
  );
  assert.match(text, /^b@plain\.example\ngoes by +outbound\.tls \(MX\)$/m);
  const refused = await explain('gone@alias.example');
  assert.match(refused, /^refused +550 5\.1\.6 Gone for good \(address_refused\)$/m);
  assert.doesNotMatch(refused, /^MX /m);
});

test('a policy that the relay holds counts, and its file is not touched', async () => {
  const state = join(dir, 'state');
  mkdirSync(state);
  const now = Date.now();
  const policy = { mode: 'enforce', mxPatterns: ['mx.good.example'], maxAgeSeconds: 86_400 };
  const kept = { ...policy, id: '1', fetchedAt: now, usedAt: now };
  const text = JSON.stringify({ format: 1, policies: { 'held.example': kept } });
  writeFileSync(join(state, 'mta-sts.json'), text);
  const { ladder } = await told('a@held.example', '--state', state);
  assert.deepEqual([ladder.sts.kind, ladder.sts.mode], ['policy', 'enforce']);
  assert.equal(ladder.hosts[0]?.decision.failure?.cause, 'sts-mx-mismatch');
  // Fetched, and not kept in the folder of another process.
  assert.equal((await told('a@good.example', '--state', state)).ladder.sts.kind, 'policy');
  assert.deepEqual(readdirSync(state), ['mta-sts.json']);
  assert.equal(readFileSync(join(state, 'mta-sts.json'), 'utf8'), text);
  assert.match(
    await explain('a@held.example'),
    /^MTA-STS +no policy is published; a running relay may hold/m,
  );
});

test('without --connect no host is asked, and no message is ever sent', async () => {
  const before = hops.map(({ sessions }) => sessions);
  const { ladder } = await told('a@good.example');
  assert.equal(ladder.hosts[0]?.connection, undefined);
  assert.deepEqual(
    hops.map(({ sessions }) => sessions),
    before,
  );
  assert.deepEqual(
    hops.flatMap((hop) => [...hop.lines('MAIL'), ...hop.lines('AUTH')]),
    [],
  );
});
