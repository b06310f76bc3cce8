/**
 * The story of policyhost.test.ts: a relay serves the policy of its domains, and the MTA-STS client of the relay fetches
 * it. A forwarder on port 443 has the place of the Service.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { identifyStsPolicy } from '#crds/effectivedns.ts';
import { servedPort } from '#crds/wellknown.ts';
import { fetchPolicy } from '#relay/mtasts/fetch.ts';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { objectOf } from './story.ts';

const [FIRST, SECOND] = ['a.example', 'b.example'];
const authority = await makeAuthority();
let relay: TestRelay;
let service: Server;

interface Wish {
  readonly mode: 'Testing' | 'Enforce' | 'None';
  readonly pair: Pair | undefined;
  readonly domains?: readonly string[];
  readonly serve?: string;
}

function manifestOf(
  port: number | undefined,
  { mode, pair, domains = [FIRST, SECOND], serve = 'secretName: sts' }: Wish,
) {
  const secret = pair ? objectOf('Secret', 'sts', { 'tls.crt': pair.cert, 'tls.key': pair.key }) : '';
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: policy}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners: [{name: smtp, port: ${port}}]
    acceptDomains: [${domains.join(', ')}]
  outbound: {routes: [{recipientDomains: [${domains.join(', ')}], hosts: [{host: 127.0.0.1, port: 9}]}]}
  dns:
    mtaSTS: {mode: ${mode}, mx: [relay.example.com, "*.mx.example"], maxAge: 7d, serve: {${serve}}}
${secret}`;
}

const edit = (wish: Wish) => relay.edit(manifestOf(relay.ports[0], wish));
const names = (...domains: string[]) => domains.map((domain) => `mta-sts.${domain}`);

before(async () => {
  service = createServer((socket) => {
    const pod = connect(servedPort(443), '127.0.0.1');
    socket.pipe(pod).pipe(socket);
    socket.on('error', () => pod.destroy());
    pod.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => service.listen(443, '192.0.2.1', resolve));
  const pair = await authority.issue(names(FIRST, SECOND));
  relay = await TestRelay.start({ manifest: ([port]) => manifestOf(port, { mode: 'Testing', pair }) });
});

after(async () => {
  await relay?.remove();
  service?.close();
});

function fetchFrom(domain: string, ca = authority.cert) {
  return fetchPolicy(domain, {
    lookUp: async () => ['192.0.2.1'],
    context: createSecureContext({ ca: [ca] }),
    signal: AbortSignal.timeout(10_000),
  });
}

async function policyOf(domain: string) {
  const fetched = await fetchFrom(domain);
  return fetched.kind === 'policy' ? fetched.policy : fetched.failure.text;
}

const served = async () => (await relay.status()).servedPolicy;
const POLICY = { mxPatterns: ['relay.example.com', '*.mx.example'], maxAgeSeconds: 604_800 };

test('the MTA-STS client takes the policy of each domain', async () => {
  for (const domain of [FIRST, SECOND])
    assert.deepEqual(await policyOf(domain), { mode: 'testing', ...POLICY });
  assert.match(relay.stdout, /mta-sts +127\.0\.0\.1:10443 +https:\/\/mta-sts\.a\.example\/\.well-known/);
  const text =
    'version: STSv1\r\nmode: testing\r\nmx: relay.example.com\r\nmx: *.mx.example\r\nmax_age: 604800\r\n';
  assert.deepEqual(await served(), { id: identifyStsPolicy(text), hosts: names(FIRST, SECOND) });
  await relay.waitForMetrics(/^mailrelay_policy_requests_total\{result="served"\} 2$/m);
});

test('another mode is served with another id, no task restarts and no socket closes', async () => {
  const pair = await authority.issue(names(FIRST, SECOND));
  const ids = [(await served())?.id];
  for (const mode of ['Enforce', 'None'] as const) {
    edit({ mode, pair });
    await until('a new id', async () => !ids.includes((await served())?.id));
    ids.push((await served())?.id);
    const wanted = mode === 'None' ? [] : POLICY.mxPatterns;
    assert.deepEqual(await policyOf(FIRST), { ...POLICY, mode: mode.toLowerCase(), mxPatterns: wanted });
  }
  const { listenerStarts, routerStarts } = (await relay.status()).tasks;
  assert.deepEqual([listenerStarts, routerStarts], [1, 1]);
});

test('a certificate that lacks a name is told, and the name is not among those that are served', async () => {
  const pair = await authority.issue(names(FIRST));
  edit({ mode: 'None', pair });
  await until('the new pair', async () => (await served())?.hosts.length === 1);
  const { policyHostCertificateProblem, ready } = await relay.status();
  assert.equal(policyHostCertificateProblem?.reason, 'HostnameNotCovered');
  assert.match(policyHostCertificateProblem?.message ?? '', /issue one for mta-sts\.b\.example$/);
  assert.equal(ready, true);
  assert.equal((await fetchFrom(FIRST)).kind, 'policy');
  assert.match(JSON.stringify(await fetchFrom(SECOND)), /sts-webpki-invalid/);
});

test('a wildcard of the whole first label covers the name, and an unusable pair replaces no good one', async () => {
  const pair = await authority.issue([`*.${FIRST}`, `mta-sts.${SECOND}`]);
  edit({ mode: 'None', pair });
  await until('the new pair', async () => (await served())?.hosts.length === 2);
  assert.equal((await fetchFrom(FIRST)).kind, 'policy');
  const stranger = await authority.issue(names(FIRST));
  edit({ mode: 'None', pair: { ...pair, key: stranger.key } });
  await until(
    'the refusal',
    async () => (await relay.status()).policyHostCertificateProblem?.reason === 'KeyMismatch',
  );
  assert.equal((await fetchFrom(SECOND)).kind, 'policy');
});

test('without a Secret "mailrelay run" makes a certificate of its own, and without the field the port closes', async () => {
  const domains = [FIRST, 'c.example'];
  edit({ mode: 'Testing', pair: undefined, serve: 'secretName: own', domains });
  await until('the policy host', async () => (await served())?.hosts.includes('mta-sts.c.example') === true);
  const ca = /throw-away local CA: (\S+)/.exec(relay.stdout)?.[1] ?? '';
  assert.equal((await fetchFrom('c.example', readFileSync(ca, 'utf8'))).kind, 'policy');
  relay.edit(
    manifestOf(relay.ports[0], { mode: 'Testing', pair: undefined, domains }).replace(/, serve:.*}}/, '}'),
  );
  await until('the port to close', async () => (await served()) === null);
  assert.equal((await fetchFrom(FIRST)).kind, 'failed');
});
