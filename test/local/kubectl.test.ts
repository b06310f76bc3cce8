/** `kubectl mailrelay` without a cluster: its help, wrong usage, and what it renders. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { visibleLines } from '#crds/visible.ts';
import { makeAuthority } from '#test/kit/ca.ts';

const TOP = new URL('../../', import.meta.url).pathname;

function plugin(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(`${TOP}bin/kubectl-mailrelay`, [...args], { env }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

function kubeconfig(server: string, authority = ''): string {
  const trusted = { 'certificate-authority-data': Buffer.from(authority).toString('base64') };
  return JSON.stringify({
    clusters: [{ name: 'one', cluster: { server, ...trusted } }],
    contexts: [{ name: 'here', context: { cluster: 'one', user: 'me' } }],
    users: [{ name: 'me', user: {} }],
    'current-context': 'here',
  });
}

test('the help names every verb, and wrong usage is one sentence with status 2', async () => {
  const { status, stdout } = await plugin(['--help']);
  assert.equal(status, 0);
  for (const verb of [
    'status',
    'queue',
    'find',
    'top',
    'console',
    'test',
    'trace',
    'cert',
    'events',
    'restart',
    'pause',
    'resume',
    'diff',
    'render',
    'report',
  ])
    assert.match(stdout, new RegExp(`^  ${verb} `, 'm'));
  const wrong: [string[], RegExp][] = [
    [['stauts', 'relay'], /Unknown verb "stauts".*Did you mean status\?/],
    [['status'], /relay/],
    [['queue'], /kubectl mailrelay queue list/],
    [['diff'], /--filename/],
    [['status', 'relay', '-n'], /"-n" has no value/],
    [['test', 'relay', '--from', 'a', '--to', 'b c'], /"--to" cannot be "b c"/],
    [['test', 'relay', '--from', '@a', '--to', 'b@c.example'], /"--from" cannot be "@a"/],
  ];
  for (const [args, says] of wrong) {
    const answer = await plugin(args);
    assert.equal(answer.status, 2, args.join(' '));
    assert.match(answer.stderr, says);
    assert.match(answer.stderr, /^kubectl mailrelay: .*\n$/);
  }
});

test('a kubeconfig that cannot be used is told with status 1', async () => {
  const { status, stderr } = await plugin(['status', 'relay', '--kubeconfig', '/nowhere']);
  assert.deepEqual(
    [status, stderr.startsWith('kubectl mailrelay: --kubeconfig "/nowhere" cannot be used')],
    [1, true],
  );
});

test('without any kubeconfig the plugin says how to name one', async () => {
  const home = mkdtempSync(join(tmpdir(), 'mailrelay-home-'));
  const { status, stderr } = await plugin(['status', 'relay'], { PATH: process.env['PATH'], HOME: home });
  const says = 'There is no kubeconfig: name one by --kubeconfig FILE, or by the variable KUBECONFIG';
  assert.deepEqual([status, stderr], [1, `kubectl mailrelay: ${says}\n`]);
  const config = join(home, 'config');
  writeFileSync(config, kubeconfig('https://127.0.0.1:1'));
  const report = await plugin(['report', 'relay', '--to', home, '--kubeconfig', config]);
  assert.equal(report.status, 1);
  assert.match(report.stderr, /Cannot make ".*": there is one already; name another folder by --to\n$/);
  rmSync(home, { recursive: true });
});

test('a cluster without the operator is told as such', async (t) => {
  const authority = await makeAuthority();
  const pair = await authority.issue(['localhost']);
  const server = createServer({ cert: pair.cert, key: pair.key }, (_, response) =>
    response.writeHead(404).end('404 page not found\n'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const home = mkdtempSync(join(tmpdir(), 'mailrelay-home-'));
  t.after(() => rmSync(home, { recursive: true }));
  const config = join(home, 'config');
  const { port } = server.address() as AddressInfo;
  writeFileSync(config, kubeconfig(`https://localhost:${port}`, authority.cert));
  for (const words of [
    ['status', 'relay'],
    ['console'],
    ['console', 'relay'],
    ['restart', 'relay'],
    ['diff', '-f', `${TOP}examples/mailrelay.yaml`],
  ]) {
    const { status, stderr } = await plugin([...words, '--kubeconfig', config]);
    const says = 'kubectl mailrelay: This cluster does not know MailRelays: install the operator first\n';
    assert.deepEqual([status, stderr], [1, says], words.join(' '));
  }
});

test('an API server that is away is told without a code, and how to name another', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'mailrelay-home-'));
  t.after(() => rmSync(home, { recursive: true }));
  const config = join(home, 'config');
  const [pair, other] = await Promise.all(
    [1, 2].map(async () => (await makeAuthority()).issue(['localhost'])),
  );
  const server = createServer({ cert: pair?.cert, key: pair?.key }, (_, response) => response.end('{}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const [address, why] of [
    ['https://127.0.0.1:1', 'nothing listens there'],
    ['https://nowhere.invalid', 'there is no host of this name|the name server does not answer'],
    [`https://localhost:${port}`, 'its certificate .*'],
  ] as const) {
    writeFileSync(config, kubeconfig(address, other?.cert));
    const { status, stderr } = await plugin(['status', 'relay', '--kubeconfig', config]);
    const says = `The API server does not answer: (${why}): name another by --context or --kubeconfig`;
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^kubectl mailrelay: ${says}\\n$`));
    assert.doesNotMatch(stderr, /[A-Z]{4,}_|ECONN/);
  }
});

test('render prints the objects of a manifest', async () => {
  const { status, stdout } = await plugin(['render', '-f', `${TOP}examples/mailrelay.yaml`]);
  assert.equal(status, 0);
  const kinds = parseAllDocuments(stdout).map((document) => (document.toJS() as { kind: string }).kind);
  for (const kind of ['ConfigMap', 'Service', 'StatefulSet']) assert.ok(kinds.includes(kind), kind);
  const json = await plugin(['render', '-f', `${TOP}examples/mailrelay.yaml`, '-o', 'json']);
  const { kind, items } = JSON.parse(json.stdout) as { kind: string; items: unknown[] };
  assert.deepEqual([kind, items.length], ['List', stdout.split('\n---\n').length]);
  const other = await plugin(['render', '-f', `${TOP}examples/mailrelay.yaml`, '-n', 'other']);
  assert.deepEqual([other.status, other.stdout], [2, '']);
});

test('what a manifest of a stranger hides is an escape in what render prints, and stays what it is', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'mailrelay-render-'));
  t.after(() => rmSync(home, { recursive: true }));
  const file = join(home, 'relay.yaml');
  const address = '"a\u202eb\u2028c"@example.com';
  const manifest = parse(readFileSync(`${TOP}examples/mailrelay.yaml`, 'utf8'));
  manifest.spec.addresses = { recipient: { entries: [{ address, to: ['שלום😀@example.com'] }] } };
  writeFileSync(file, JSON.stringify(manifest));
  const { status, stdout, stderr } = await plugin(['render', '-f', file]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout, visibleLines(stdout));
  const policy = parseAllDocuments(stdout)
    .map((document) => document.toJS() as { kind: string; data?: Record<string, string> })
    .find(({ kind }) => kind === 'ConfigMap');
  const text = Object.values(policy?.data ?? {}).join('');
  for (const one of [JSON.stringify(address), 'שלום😀@example.com']) assert.ok(text.includes(one), text);
  assert.ok(stdout.includes('שלום😀'), 'letters stay readable');
});
