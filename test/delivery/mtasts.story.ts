/** The story of mtasts.test.ts: DNS on port 53, policy hosts on port 443, nothing else in the network. */
import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { type Fetched, fetchPolicy } from '#relay/mtasts/fetch.ts';
import { type Authority, makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { type PolicyAnswer, PolicyHost, policyText } from '#test/kit/policyhost.ts';
import { doToQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { HOST, NAMES, SELF, STRIPPING, VERIFIED } from './mtastsnames.ts';
import { BAD, GOOD, POLICIES } from './mtastspolicies.ts';
import { accepted, objectOf, startRelay } from './story.ts';

const openssl = new OpensslAuthority();
const root = openssl.issue('root', CA);
let names: NameServer;
let host: PolicyHost;
let authority: Authority;
let relay: TestRelay;
let verified: Hop;
let self: Hop;
let stripping: Hop;
const answers: Record<string, PolicyAnswer> = {};

before(async () => {
  names = await NameServer.start(NAMES);
  authority = await makeAuthority();
  const policyHost = async (domain: string, answer: PolicyAnswer['answer']) => {
    answers[domain] = { pair: await authority.issue([`mta-sts.${domain}`]), answer };
  };
  for (const [name, answer] of Object.entries(POLICIES)) await policyHost(`${name}.example`, answer);
  for (const [name, [answer]] of Object.entries(BAD)) await policyHost(`${name}.example`, answer);
  answers['nameless.example'] = { pair: await authority.issue(['mta-sts.other.example']), answer: GOOD };
  const common = openssl.issue('mta-sts.common.example', ['basicConstraints=CA:false'], root);
  answers['common.example'] = { pair: common, answer: GOOD };
  answers['below.example'] = { pair: await authority.issue(['*.example']), answer: GOOD };
  const dates = { from: -20, until: -1 };
  answers['expired.example'] = {
    pair: await authority.issue(['mta-sts.expired.example'], dates),
    answer: GOOD,
  };
  answers['early.example'] = {
    pair: await authority.issue(['mta-sts.early.example'], { from: 1 }),
    answer: GOOD,
  };
  const stranger = await makeAuthority('another CA');
  answers['stranger.example'] = { pair: await stranger.issue(['mta-sts.stranger.example']), answer: GOOD };
  host = await PolicyHost.start(answers, HOST);
  const pair = await authority.issue([
    'mx.good.example',
    'mx.wild.example',
    'mx.proven.example',
    'mx.kept.example',
    'mx.stray.example',
  ]);
  verified = await Hop.start({ port: 25, host: VERIFIED, pair });
  self = await Hop.start({ port: 25, host: SELF, pair: (await makePair('mx.self.example')) as Pair });
  stripping = await Hop.start({ port: 25, host: STRIPPING });
  relay = await startRelay({
    outbound: `
tls: {level: Opportunistic, discover: [MTASTS], trustConfigMapName: roots}
ipFamily: IPv4
limits: {messagesPerConnection: 1}
routes: [{recipientDomains: [floor.stripped.example], tls: {level: Encrypt}}]
`,
    documents: objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert }),
  });
});

after(async () => {
  openssl.remove();
  await relay?.remove();
  for (const hop of [verified, self, stripping]) await hop?.down();
  host?.stop();
  names?.stop();
});

let sent = 0;

async function send(domain: string, ...fields: string[]): Promise<string> {
  sent += 1;
  const id = `${domain}-${sent}`;
  const text = `${fields.map((field) => `${field}\r\n`).join('')}${messageText(id)}`;
  await accepted(relay, { id, to: [`a@${domain}`], text });
  return id;
}

async function arrives(domain: string, hop: Hop): Promise<void> {
  const id = await send(domain);
  await until(`${id} to arrive`, () => hop.ids().includes(id));
}

async function waits(domain: string, cause: string, why: RegExp): Promise<void> {
  await send(domain);
  await until(`${domain} to wait: ${why}`, async () =>
    (await relay.status()).queue.deferrals.some(
      (deferral) => deferral.destination === domain && deferral.cause === cause && why.test(deferral.message),
    ),
  );
}

const logged = (event: string, ...parts: string[]) =>
  relay.stderr
    .split('\n')
    .filter((line) => line.includes(`"event":"${event}"`))
    .some((line) => parts.every((part) => line.includes(part)));

/** Where nothing answers too late, the time only bounds a failure. */
function fetchFrom(domain: string, ms = 30_000): Promise<Fetched> {
  return fetchPolicy(domain, {
    lookUp: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
    context: createSecureContext({ ca: [authority.cert, root.cert] }),
    signal: AbortSignal.timeout(ms),
  });
}

async function fails(domain: string, why: RegExp, ms?: number): Promise<void> {
  const fetched = await fetchFrom(domain, ms);
  assert.equal(fetched.kind, 'failed');
  const { cause, text: reason, permanent } = fetched.failure;
  assert.match(`${cause} ${reason}`, why);
  assert.match(reason, new RegExp(`https://mta-sts\\.${domain}/\\.well-known/mta-sts\\.txt`));
  assert.equal(permanent, false);
}

test('a policy is fetched from the policy host, at another address where the first one is dead', async () => {
  const policy = { mode: 'enforce', mxPatterns: ['mx.good.example'], maxAgeSeconds: 604_800 };
  assert.deepEqual(await fetchFrom('good.example'), { kind: 'policy', policy });
  assert.deepEqual(await fetchFrom('second.example'), { kind: 'policy', policy });
});

test('an answer that is no policy is none, and takes no more time and memory than the limits', async () => {
  const begin = process.memoryUsage().rss;
  for (const [domain, [, why]] of Object.entries(BAD))
    await fails(`${domain}.example`, why, ['silent', 'drip'].includes(domain) ? 300 : undefined);
  assert.ok(process.memoryUsage().rss - begin < 200 * 1024 * 1024);
});

test('the certificate of the policy host must be right', async () => {
  await fails('nameless.example', /^sts-webpki-invalid .*another name/);
  await fails('common.example', /^sts-webpki-invalid .*another name/);
  await fails('below.example', /^sts-webpki-invalid .*another name/);
  await fails('expired.example', /^sts-webpki-invalid .*expired/);
  await fails('early.example', /^sts-webpki-invalid .*not yet valid/);
  await fails('stranger.example', /^sts-webpki-invalid /);
  assert.ok(!host.asked.some((domain) => /nameless|common|below|expired|stranger/.test(domain)));
});

test('a policy host that is not there fails', async () => {
  await fails('refused.example', /^sts-policy-fetch-error /);
  await fails('unknown.example', /^sts-policy-fetch-error .*ENOTFOUND/);
});

test('mode enforce: the mail goes to hosts that the policy names and that prove their name', async () => {
  await arrives('good.example', verified);
  await arrives('wild.example', verified);
  // The first host is not named, the second one has no TLS.
  await arrives('half.example', verified);
  assert.ok(verified.taken.every(({ tls }) => tls?.startsWith('TLS')));
  await until('the log line', () =>
    logged(
      'delivered',
      'good.example',
      '"tlsLevel":"Verify"',
      'the MTA-STS policy of good.example',
      '"verified":true',
    ),
  );
  assert.ok(logged('sts_policy', '"domain":"good.example"', '"mode":"enforce"', '"mx":"mx.good.example"'));
});

test('mode enforce: everything else waits, and says why', async () => {
  await waits(
    'stray.example',
    'sts-mx-mismatch',
    /mx\.stray\.example:25: the MTA-STS policy of stray\.example/,
  );
  await waits('self.example', 'certificate-untrusted', /MTA-STS policy of self\.example/);
  await waits('renamed.example', 'certificate-host-mismatch', /MTA-STS policy of renamed\.example/);
  await waits('stripped.example', 'starttls-missing', /MTA-STS policy of stripped\.example/);
  assert.deepEqual(self.taken, []);
  assert.ok(!stripping.ids().some((id) => id.startsWith('stripped')));
});

test('modes testing and none have no consequence', async () => {
  await arrives('tested.example', stripping);
  await arrives('ended.example', stripping);
  // What mode enforce would have said is told.
  await arrives('proven.example', verified);
  await until('the verdicts', () =>
    [
      ['tested.example', 'the MTA-STS policy does not name this host'],
      ['proven.example', 'met'],
    ].every(([domain = '', verdict]) => logged('delivered', `a@${domain}`, '"stsTesting":', `${verdict}"`)),
  );
});

test('a sender may give the policy up with TLS-Required: No (RFC 8689)', async () => {
  const id = await send('stripped.example', 'TLS-Required: No');
  await until(`${id} to arrive`, () => stripping.ids().includes(id));
  const kept = await send('floor.stripped.example', 'TLS-Required: No');
  await until('it to wait', async () =>
    (await relay.status()).queue.deferrals.some(
      ({ destination }) => destination === 'floor.stripped.example',
    ),
  );
  assert.ok(!stripping.ids().includes(kept));
});

test('a policy that cannot be had is none, and is told', async () => {
  const slow = ['silent', 'drip'];
  const later = await Promise.all(slow.map((name) => send(`${name}.example`)));
  for (const [name, [, why]] of Object.entries(BAD)) {
    if (slow.includes(name)) continue;
    await arrives(`${name}.example`, stripping);
    const cause = why.source.split(' ')[0] ?? '';
    assert.ok(logged('sts_policy_failed', `"domain":"${name}.example"`, `"cause":"${cause}"`), name);
  }
  for (const name of ['nameless', 'expired', 'stranger', 'below']) {
    await arrives(`${name}.example`, stripping);
    assert.ok(
      logged('sts_policy_failed', `"domain":"${name}.example"`, '"cause":"sts-webpki-invalid"'),
      name,
    );
  }
  await relay.waitForMetrics(/^mailrelay_sts_fetches_total\{result="sts-webpki-invalid"\} 4$/m);
  // A clock is wrong, theirs or ours: that is no absence.
  await waits('early.example', 'sts-webpki-invalid', /not yet valid/);
  for (const id of later) await until(`${id} to arrive`, () => stripping.ids().includes(id), 60_000);
});

test('while a policy is valid nothing weakens it: no vanished record, no dead policy host, no restart', async () => {
  await arrives('kept.example', verified);
  await until(
    'the file',
    () => existsSync(cacheFile()) && readFileSync(cacheFile(), 'utf8').includes('kept.example'),
  );
  NAMES['_mta-sts.kept.example'] = {};
  NAMES['mta-sts.kept.example'] = {};
  NAMES['mx.kept.example'] = { A: [STRIPPING] };
  await waits('kept.example', 'starttls-missing', /MTA-STS policy of kept\.example/);
  await relay.stop();
  await relay.up();
  await waits('kept.example', 'starttls-missing', /MTA-STS policy of kept\.example/);
  await relay.kill9();
  await relay.up();
  await waits('kept.example', 'starttls-missing', /MTA-STS policy of kept\.example/);
  assert.ok(!stripping.ids().some((id) => id.startsWith('kept')));
});

test('another id brings the new policy', async () => {
  const { pair } = answers['stray.example'] as PolicyAnswer;
  answers['stray.example'] = { pair, answer: policyText('enforce', ['mx.stray.example']) };
  NAMES['_mta-sts.stray.example'] = { TXT: ['v=STSv1; id=2;'] };
  const id = 'stray-renewed';
  const queueId = await accepted(relay, { id, to: ['a@stray.example'], text: messageText(id) });
  // Mail from before waits for this destination, and a new message waits with it.
  await until(`${id} to arrive`, async () => {
    await doToQueue(relay, 'retry', queueId);
    return verified.ids().includes(id);
  });
});

test('a policy whose time is over protects nothing any more', async () => {
  await relay.stop();
  const kept = JSON.parse(readFileSync(cacheFile(), 'utf8'));
  kept.policies['kept.example'].fetchedAt = Date.now() - 604_801_000;
  writeFileSync(cacheFile(), JSON.stringify(kept));
  await relay.up();
  await arrives('kept.example', stripping);
});

const cacheFile = () => join(relay.stateDir, 'mta-sts.json');
