/**
 * testssl.sh, as auditors run it, with our authority added to its trust: nothing above LOW. By `make test` what finds most
 * in the least time, against a port with STARTTLS; every section of protocols, ciphers, certificates and vulnerabilities,
 * against both kinds of port, for pairs of both kinds of keys, by `make soak`. test/dialog/listeners.test.ts shows that both
 * kinds have the same floor. On a busy machine a probe may end too early (WARN): then all is tried once more, and only what
 * could not be tested twice is a failure.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { installProblem } from '#test/kit/debian.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';

const SOAK = Boolean(process.env['MAILRELAY_SOAK']);
const SECTIONS = SOAK
  ? ['--protocols', '--std', '--pfs', '--server-defaults', '--server-preference', '--vulnerable']
  : ['--protocols', '--std', '--vulnerable'];
const KEYS = SOAK ? ['RSA', 'ECDSA'] : ['RSA'];
/** By `make test` a run takes two minutes on a machine at rest, and there may be two (test/kit/deadline.ts). */
const LONGEST_MS = SOAK ? Number.POSITIVE_INFINITY : 550_000;
const HARMLESS = new Set(['OK', 'INFO', 'LOW', 'DEBUG']);
const EXEMPT = new Map([
  ['cert_revocation', 'a private authority has no address to ask for revocations'],
  ['sessionresumption_ticket', 'its client may leave before the ticket of TLS 1.3 has come'],
  ['engine_problem', 'a notice about the OpenSSL that testssl.sh runs on'],
]);

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

const problem = installProblem(() => existsSync('/usr/bin/testssl'), 'testssl.sh');

for (const keys of KEYS) {
  describe(`testssl.sh and a certificate with ${keys} keys`, { skip: problem, concurrency: true }, () => {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-testssl-'));
    let relay: TestRelay;

    before(async () => {
      const authority = await makeAuthority();
      const pair = await authority.issue(['relay.example.com'], { rsa: keys === 'RSA' });
      writeFileSync(join(dir, 'ca.pem'), authority.cert);
      relay = await TestRelay.start({ ports: 2, manifest: (ports) => manifestWith(ports, pair) });
    });

    after(async () => {
      await relay?.remove();
      rmSync(dir, { recursive: true, force: true });
    });

    test('finds nothing above LOW on a port with STARTTLS', { timeout: LONGEST_MS }, () =>
      passes(0, '--starttls', 'smtp'),
    );
    test('finds nothing above LOW on a port with implicit TLS', { skip: !SOAK, timeout: LONGEST_MS }, () =>
      passes(1),
    );

    async function passes(listener: number, ...flags: string[]): Promise<void> {
      const first = await audit(listener, 'first', flags);
      const isAgain = harmful(first).length > 0 && harmful(first).every(isUntested);
      const last = isAgain ? await audit(listener, 'second', flags) : first;
      const said = new Map(last.map((one) => [one.id, one.finding]));
      assert.equal(said.get('TLS1_1'), 'not offered');
      assert.match(said.get('TLS1_3') ?? '', /^offered/);
      assert.match(said.get('secure_renego') ?? '', /supported/);
      const before = new Set(harmful(first).map(({ id }) => id));
      assert.deepEqual(
        harmful(last).filter((one) => !isUntested(one) || before.has(one.id)),
        [],
      );
    }

    async function audit(listener: number, which: string, flags: readonly string[]): Promise<Finding[]> {
      const report = join(dir, `${listener}-${which}.json`);
      const target = ['--ip', '127.0.0.1', `relay.example.com:${relay.ports[listener]}`];
      const trust = ['--add-ca', join(dir, 'ca.pem')];
      const quietly = [
        '--quiet',
        '--color',
        '0',
        '--warnings',
        'off',
        '--nodns',
        'none',
        '--jsonfile',
        report,
      ];
      // Its exit status counts what it found. Nobody answers it in HTTP, for which it would wait.
      const args = [...quietly, ...trust, ...flags, ...SECTIONS, ...target];
      await run('testssl', args, { env: { ...process.env, HEADER_MAXSLEEP: '1' } }).catch(() => undefined);
      return JSON.parse(readFileSync(report, 'utf8')) as Finding[];
    }
  });
}

const run = promisify(execFile);

function harmful(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ id, severity }) => !HARMLESS.has(severity) && !EXEMPT.has(id));
}

function isUntested({ severity }: Finding): boolean {
  return severity === 'WARN';
}

function manifestWith([starttls, implicit]: readonly number[], pair: Pair): string {
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: audited}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners:
      - {name: smtp, port: ${starttls}}
      - {name: submissions, port: ${implicit}, implicitTLS: true}
    clients: {networks: [127.0.0.0/8]}
  outbound:
    smartHosts: [{host: 127.0.0.1, port: 1}]
${secretOf('relay-tls', pair)}`;
}
