/** tls.certificates: a client gets the certificate of the name that it asks for (SNI), chosen by the real relay. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { mailrelay, secretOf, TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';

const run = promisify(execFile);

const HOST = 'relay.example.com';
/** The names of each Secret, in the order of tls.certificates. The pair of `half` does not cover its last name. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  wild: ['*.example.com', '*.b.example'],
  exact: ['mx.b.example', 'xn--bcher-kva.example'],
  half: ['c.example', 'd.example'],
};

let authority: Authority;
let pairs: Record<string, Pair>;
let relay: TestRelay;

const manifestOf = (
  [starttls, implicit]: readonly number[],
  served = pairs,
) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: mail}
spec:
  hostname: ${HOST}
  tls:
    secretName: host
    certificates: ${JSON.stringify(Object.entries(NAMES).map(([secretName, hostnames]) => ({ secretName, hostnames })))}
  inbound:
    listeners:
      - {name: smtp, port: ${starttls}}
      - {name: submissions, port: ${implicit}, implicitTLS: true}
${Object.entries(served)
  .map(([name, pair]) => secretOf(name, pair))
  .join('')}`;

before(async () => {
  authority = await makeAuthority();
  pairs = {
    host: await authority.issue([HOST]),
    wild: await authority.issue(NAMES['wild'] ?? []),
    exact: await authority.issue(NAMES['exact'] ?? []),
    half: await authority.issue(['c.example']),
  };
  relay = await TestRelay.start({ ports: 2, manifest: (ports) => manifestOf(ports) });
});

after(() => relay?.remove());

/** The Secret whose certificate a client gets. */
async function findServed(servername: string | undefined, of = relay): Promise<string> {
  const [, port = 0] = of.ports;
  const socket = connect({
    ...{ port, host: '127.0.0.1', ca: authority.cert, rejectUnauthorized: false },
    ...(servername === undefined ? {} : { servername }),
  });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return Object.keys(pairs).find((name) => pairs[name]?.serial === serialNumber) ?? serialNumber;
}

async function findFacts(secret: string, of = relay) {
  const { sniCertificates = [] } = await of.status();
  return sniCertificates.find((one) => one.secret === secret);
}

/** OpenSSL's client, by STARTTLS. Its text says what it got. */
async function askOpenssl(servername: string, ...args: string[]): Promise<string> {
  const [port] = relay.ports;
  const ask = run('openssl', [
    ...['s_client', '-starttls', 'smtp', '-connect', `127.0.0.1:${port}`, '-servername', servername],
    ...args,
  ]);
  ask.child.stdin?.end('QUIT\r\n');
  const { stdout } = await ask;
  return stdout;
}

test('the full name counts first, then the wildcard of one label, then the certificate of the host name', async () => {
  for (const [asked, secret] of [
    [undefined, 'host'],
    ['', 'host'],
    [HOST, 'host'],
    ['RELAY.example.com', 'host'],
    ['mx.example.com', 'wild'],
    ['any.b.example', 'wild'],
    ['ANY.b.EXAMPLE', 'wild'],
    ['mx.b.example', 'exact'],
    ['xn--bcher-kva.example', 'exact'],
    ['b.example', 'host'],
    ['two.labels.b.example', 'host'],
    ['c.example', 'half'],
    ['elsewhere.example', 'host'],
  ] as const)
    assert.equal(await findServed(asked), secret, String(asked));
});

test('openssl verifies the name that it asks for', async () => {
  const file = join(relay.dir, 'ca.pem');
  writeFileSync(file, authority.cert);
  for (const name of ['mx.b.example', 'any.b.example', HOST]) {
    const told = await askOpenssl(name, '-CAfile', file, '-verify_hostname', name);
    assert.match(told, /Verify return code: 0 \(ok\)/, name);
  }
});

test('no session is resumed, neither under another name nor under its own', async () => {
  const file = join(relay.dir, 'session');
  for (const version of ['-tls1_2', '-tls1_3'])
    for (const name of ['c.example', 'mx.b.example', HOST]) {
      assert.match(await askOpenssl('mx.b.example', version, '-sess_out', file), /^New, /m);
      // Without a ticket OpenSSL writes no file for TLS 1.2.
      const offered = existsSync(file) ? ['-sess_in', file] : [];
      assert.match(await askOpenssl(name, version, ...offered), /^New, /m, `${version} ${name}`);
    }
});

test('a name that its certificate does not cover gets that of the host name, and the status says so', async () => {
  assert.equal(await findServed('d.example'), 'host');
  const facts = await findFacts('half');
  assert.equal(facts?.problem?.reason, 'HostnameNotCovered');
  assert.match(facts.problem.message, /issue one for d\.example$/);
  assert.equal((await relay.status()).ready, true);
  const metrics = await (await fetch(`http://127.0.0.1:${relay.adminPort}/metrics`)).text();
  const end = Date.parse(facts.certificate?.notAfter ?? '') / 1000;
  const line = `{field="tls.certificates",hostname="c.example"} ${end}\n`;
  assert.ok(metrics.includes(`mailrelay_certificate_not_after_timestamp_seconds${line}`));
});

test('a new pair is served at once; one with a fault changes nothing for any name', async () => {
  const { tasks } = await relay.status();
  pairs['half'] = await authority.issue(NAMES['half'] ?? []);
  relay.edit(manifestOf(relay.ports));
  await until('the new pair', async () => (await findServed('d.example')) === 'half');
  assert.equal((await findFacts('half'))?.problem, null);

  const { wild, exact } = pairs as { wild: Pair; exact: Pair };
  relay.edit(manifestOf(relay.ports, { ...pairs, exact: { ...exact, key: wild.key } }));
  await until('the fault', async () => (await findFacts('exact'))?.problem?.reason === 'KeyMismatch');
  for (const [asked, secret] of [
    ['mx.b.example', 'exact'],
    ['any.b.example', 'wild'],
    [HOST, 'host'],
  ])
    assert.equal(await findServed(asked), secret);
  const status = await relay.status();
  assert.deepEqual([status.tasks, status.ready, status.certificateProblem], [tasks, true, null]);
});

test('a pair with a fault is not served where there was no good one, and a missing one is made for the trial', async () => {
  const { host, wild, exact } = pairs as { host: Pair; wild: Pair; exact: Pair };
  const faulty = { host, wild: { ...wild, cert: 'text' }, exact };
  const other = await TestRelay.start({ ports: 2, manifest: (ports) => manifestOf(ports, faulty) });
  try {
    assert.equal(await findServed('any.b.example', other), 'host');
    const made = await findServed('c.example', other);
    assert.equal((await findFacts('half', other))?.certificate?.serial, made);
    const { sniCertificates = [] } = await other.status();
    assert.deepEqual(
      sniCertificates.map(({ problem }) => problem?.reason),
      ['CertificateUnreadable', undefined, undefined],
    );
  } finally {
    await other.remove();
  }
});

test('the commands tell which certificate a name gets', async () => {
  const explained = await mailrelay(['explain', 'any.b.example', '-f', join(relay.dir, 'relay.yaml')]);
  assert.match(
    explained.stdout,
    /asks the relay for any\.b\.example by SNI gets the certificate of Secret "wild", for \*\.b\.example/,
  );
  const status = await mailrelay(['status', '--admin-port', String(relay.adminPort)]);
  assert.match(status.stdout, /for \*\.example\.com, \*\.b\.example$/m);
});
