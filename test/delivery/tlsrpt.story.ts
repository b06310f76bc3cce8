/**
 * The story of tlsrpt.test.ts: a relay delivers to MX hosts with and without TLS, a day passes, and the reports arrive, by
 * HTTPS and as signed mail.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { readReport, type TlsReport } from '#relay/tlsrpt/report.ts';
import { makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import { PolicyHost, policyText } from '#test/kit/policyhost.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, objectOf, startRelay } from './story.ts';
import { GOOD, NAMES, PLAIN, POLICY, REPORTS, SELF, SINK } from './tlsrptnames.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const RECORD = `v=DKIM1; k=ed25519; p=${publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')}`;

interface Posted {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

let names: NameServer;
let relay: TestRelay;
let sink: Hop;
let host: Server;
let policies: PolicyHost;
let self: Hop;
const hops: Hop[] = [];
const posted: Posted[] = [];
/** What the relay had logged before it was started again. */
let logged = '';

before(async () => {
  names = await NameServer.start(NAMES);
  const authority = await makeAuthority();
  host = createServer(await authority.issue(['reports.example']), async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const path = `${request.method} ${request.url}`;
    posted.push({ path, type: request.headers['content-type'] ?? '', body: Buffer.concat(pieces) });
    if (path.endsWith('/moved')) response.setHeader('location', 'https://reports.example/elsewhere');
    response.writeHead(path.endsWith('/moved') ? 301 : path.endsWith('/busy') ? 503 : 201).end();
  });
  await new Promise<void>((resolve) => host.listen(443, REPORTS, resolve));
  const policy = policyText('enforce', ['other.example']);
  const policyPair = await authority.issue(['mta-sts.sts.example', 'mta-sts.both.example']);
  const both = { pair: policyPair, answer: policyText('enforce', ['mx.dane.example']) };
  policies = await PolicyHost.start(
    { 'sts.example': { pair: policyPair, answer: policy }, 'both.example': both },
    POLICY,
  );
  const pair = await authority.issue(['mx.good.example', 'mx.sink.example']);
  self = await Hop.start({ port: 25, host: SELF, pair: (await makePair('self.example')) as Pair });
  sink = await Hop.start({ port: 25, host: SINK, pair });
  hops.push(
    await Hop.start({ port: 25, host: GOOD, pair }),
    await Hop.start({ port: 25, host: PLAIN }),
    sink,
    self,
  );
  const roots = objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert });
  const key = `${privateKey.export({ type: 'pkcs8', format: 'pem' })}`;
  relay = await startRelay({
    outbound: `tls:
  trustConfigMapName: roots
  discover: [DANE, MTASTS]
  reports: {from: tls-reports@relay.example.com, contact: postmaster@example.com}
resolver: {addresses: [127.0.0.1], trustAD: true}
routes: [{recipientDomains: [floor.example], tls: {level: Verify}}]
dkim: [{domain: relay.example.com, selector: s1, secretName: dkim}]`,
    documents: `${roots}${objectOf('Secret', 'dkim', { 'private.key': key })}`,
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  host?.close();
  host?.closeAllConnections();
  policies?.stop();
  names?.stop();
});

const file = () => join(relay.stateDir, 'tlsrpt.json');

/** Why mail for these domains waits. */
const reasons = async (names: readonly string[]) => {
  const { deferrals } = (await relay.status()).queue;
  return names.flatMap((name) =>
    deferrals.filter(({ destination }) => destination === `${name}.example`).map(({ cause }) => cause),
  );
};

test('sessions are counted while mail flows, and the counts are on disk when the relay ends', async () => {
  const domains = ['good', 'plain', 'silent', 'moved', 'busy', 'false', 'second', 'third'];
  const waiting = ['proven', 'both'];
  for (const domain of [...domains, ...waiting])
    await accepted(relay, { id: domain, to: [`you@${domain}.example`] });
  await until('the mail to be delivered', () => {
    const taken = hops.reduce((sum, hop) => sum + hop.taken.length, 0);
    return taken === domains.length;
  });
  await until('the other mail to wait', async () => (await reasons(waiting)).length === waiting.length);
  await relay.stop();
  logged = relay.stderr;
  const { days } = JSON.parse(readFileSync(file(), 'utf8'));
  const [today = ''] = Object.keys(days);
  assert.deepEqual(
    Object.keys(days[today].domains).toSorted(),
    [...domains, ...waiting].map((one) => `${one}.example`).toSorted(),
  );
});

test('after the day the reports go out, by HTTPS and as mail', async () => {
  const kept = JSON.parse(readFileSync(file(), 'utf8'));
  const [[today, day]] = Object.entries(kept.days) as [[string, object]];
  const yesterday = new Date(Date.parse(today) - 86_400_000).toISOString().slice(0, 10);
  writeFileSync(file(), JSON.stringify({ ...kept, days: { [yesterday]: { ...day, dueAt: 0 } } }));
  await relay.up();
  await until('the reports to arrive', () => posted.length >= 6 && sink.taken.length >= 1);
  assert.deepEqual(posted.map(({ path }) => path).toSorted(), [
    'POST /both',
    'POST /busy',
    'POST /good',
    'POST /moved',
    'POST /plain',
    'POST /proven',
  ]);
  assert.ok(posted.every(({ type }) => type === 'application/tlsrpt+gzip'));
});

function postedTo(path: string): TlsReport {
  const read = readReport(posted.find((one) => one.path === `POST /${path}`)?.body ?? Buffer.alloc(0));
  assert.ok(read.kind === 'report', JSON.stringify(read));
  return read.report;
}

test('the report says how many sessions were encrypted, and why others were not', () => {
  const good = postedTo('good');
  assert.equal(good['organization-name'], 'relay.example.com');
  assert.equal(good['contact-info'], 'postmaster@example.com');
  assert.match(good['date-range']['start-datetime'], /^\d{4}-\d\d-\d\dT00:00:00Z$/);
  assert.match(good['date-range']['end-datetime'], /^\d{4}-\d\d-\d\dT23:59:59Z$/);
  assert.deepEqual(good.policies, [
    {
      policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'good.example' },
      summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 0 },
    },
  ]);
  assert.deepEqual(postedTo('plain').policies, [
    {
      policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'plain.example' },
      summary: { 'total-successful-session-count': 0, 'total-failure-session-count': 1 },
      'failure-details': [
        {
          'result-type': 'starttls-not-supported',
          'receiving-mx-hostname': 'mx.plain.example',
          'receiving-ip': PLAIN,
          'failed-session-count': 1,
        },
      ],
    },
  ]);
});

test('the report names the policy that counted: that of DANE by its own domain, and MTA-STS where no signed MX leads to the records', () => {
  const failed = (path: string) =>
    postedTo(path).policies.map(({ policy, summary, ...rest }) => [
      policy['policy-type'],
      policy['policy-domain'],
      policy['mx-host']?.join(),
      summary['total-failure-session-count'] > 0,
      rest['failure-details']?.map((one) => one['result-type']).join(),
    ]);
  assert.deepEqual(failed('proven'), [['tlsa', 'mx.dane.example', undefined, true, 'tlsa-invalid']]);
  assert.deepEqual(failed('both'), [
    ['sts', 'both.example', 'mx.dane.example', true, 'certificate-not-trusted'],
  ]);
});

test('the mail has the form of RFC 8460, and its signature verifies', async () => {
  const [mail] = sink.taken;
  assert.deepEqual([mail?.from, mail?.to], ['tls-reports@relay.example.com', ['tls+reports@sink.example']]);
  const text = `${mail?.text.replace(/\r?\n/g, '\r\n')}`;
  const header = text.slice(0, text.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ');
  const msgId = /<[0-9a-f-]{36}\.\d{4}-\d\d-\d\d\.good\.example@relay\.example\.com>/.source;
  assert.match(
    header,
    new RegExp(
      `^Subject: Report Domain: good\\.example Submitter: relay\\.example\\.com Report-ID: ${msgId}\r$`,
      'm',
    ),
  );
  assert.match(header, /^TLS-Report-Domain: good\.example$/m);
  assert.match(header, /^TLS-Report-Submitter: relay\.example\.com$/m);
  assert.match(header, /^TLS-Required: No$/m);
  assert.match(header, /^Content-Type: multipart\/report; report-type="tlsrpt"; boundary=/m);
  const signature = /^DKIM-Signature: (.*)$/m.exec(header)?.[1] ?? '';
  assert.doesNotMatch(signature, /\bl=/);
  assert.match(signature, /\bh=[^;]*TLS-Required:[^;]*TLS-Report-Domain:/i);
  const resolver = async () => [[RECORD]];
  const { results } = await dkimVerify(Buffer.from(text), { resolver, strict: true });
  assert.deepEqual(
    results.map(({ status }) => status.result),
    ['pass'],
  );
  const [, name = '', packed = ''] = /filename="([^"]+)"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(text) ?? [];
  assert.match(name, /^relay\.example\.com!good\.example!\d{10}!\d{10}![0-9a-f]{12}\.json\.gz$/);
  const read = readReport(Buffer.from(packed, 'base64'));
  assert.deepEqual(read, { kind: 'report', report: postedTo('good') });
  const path = join(relay.dir, 'report.json.gz');
  writeFileSync(path, Buffer.from(packed, 'base64'));
  const { stdout } = await mailrelay(['tlsrpt', path]);
  assert.match(stdout, /^sessions +1 encrypted as the policy wants it, 0 failed$/m);
});

test('what was not sent says why: a redirect is not followed, a host that is busy is tried again', async () => {
  const failed = () =>
    relay.stderr
      .split('\n')
      .filter((line) => line.includes('"tls_report_failed"'))
      .map((line) => JSON.parse(line))
      .map(({ domain, reason, willRetry }) => `${domain}: ${reason}, ${willRetry}`)
      .toSorted();
  await until('the failures to be told', () => failed().length >= 3);
  const [busy, unknown, moved] = failed();
  assert.equal(busy, 'busy.example: HTTP status 503, true');
  assert.match(unknown ?? '', /^false\.example: .*, true$/);
  assert.equal(moved, 'moved.example: HTTP status 301, false');
});

test('a report arrives although its host fails MTA-STS or DANE, and the level of the spec is kept', async () => {
  await until('two reports to arrive', () => self.taken.length === 2);
  assert.deepEqual(self.taken.flatMap(({ to }) => to).toSorted(), ['tls@dane.example', 'tls@sts.example']);
  for (const { text, tls } of self.taken) {
    assert.match(text, /^TLS-Report-Domain: second\.example\r?$/m);
    assert.ok(tls !== undefined, 'encrypted, as level Opportunistic has it');
  }
  // Level Verify of the route is not met.
  await until('the other report to wait', async () =>
    (await reasons(['floor'])).includes('certificate-untrusted'),
  );
});

test('the delivery of a report is not reported, and what was sent is forgotten', async () => {
  await relay.stop();
  const { days } = JSON.parse(readFileSync(file(), 'utf8'));
  const [left, later = []] = Object.keys(days)
    .toSorted()
    .map((day) => Object.keys(days[day].domains).toSorted());
  assert.deepEqual(left, ['busy.example', 'false.example']);
  // The mail that waits is tried again.
  assert.deepEqual(
    later.filter((domain) => !['both.example', 'proven.example'].includes(domain)),
    [],
  );
  assert.doesNotMatch(logged, /"tls_report/);
});

test('other mail waits for these hosts', async () => {
  await relay.up();
  for (const domain of ['sts.example', 'dane.example'])
    await accepted(relay, { id: domain, to: [`you@${domain}`] });
  await until('the reasons', async () => {
    return (await reasons(['sts', 'dane'])).join() === 'sts-mx-mismatch,tlsa-invalid';
  });
  assert.equal(self.taken.length, 2);
});
