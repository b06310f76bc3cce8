/**
 * Each call of this program in a page runs as it stands there, beside a relay of "mailrelay run" and in a folder with the
 * files that the pages name. What a page does inside a pod is done beside this relay.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { listCommandLines, listOwnCalls, listShellBlocks, readPages } from '#test/arch/pages.ts';
import { makePair } from '#test/kit/ca.ts';
import { endWithFile } from '#test/kit/child.ts';
import { makeReport } from '#test/kit/reportmail.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const TOP = new URL('../../', import.meta.url).pathname;
/** These end at Ctrl-C only. */
const LONG = /^(run|sink|console)\b/;
/** Such a call does not end by itself, and the pages must say so. */
const MOST_MS = 90_000;
/** What a page does to the message ID is done to one that waits. */
const PLACEHOLDER = 'ID';
/** Calls that are not run here, and why. */
const ELSEWHERE: readonly (readonly [call: RegExp, reason: string])[] = [
  [/^run -f relay\.yaml$/, 'the relay of this story'],
  [/^queue list --state \/var/, 'the folder is an example'],
  [/^send --server relay\.mail\.svc/, 'a name inside a cluster: test/cluster sends to it'],
];

const NEXT_HOP_PORT = 2527;
const NO_SUCH_USER = 'joe@partner.example';
/** One recipient is unknown to the next hop; mail for all others waits. */
const MANIFEST = `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay, namespace: default}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    starttls: Enabled
    listeners:
      - {name: smtp, port: 25}
      - {name: submission, port: 587, starttls: Required, auth: Required}
    clients: {networks: [127.0.0.0/8], credentialsSecretName: relay-users}
    tlsReports: {address: tls-reports@relay.example.com}
  outbound:
    tls: {level: None, discover: []}
    smartHosts: [{host: 127.0.0.1, port: ${NEXT_HOP_PORT}}]
  queue:
    history: 7d
    suppression: {duration: 7d, statuses: [5.0.0]}
    storage: {size: 1Gi}
`;

let folder: string;
let relay: ChildProcess;
let nextHop: Sink;
let log = '';

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

function begin(words: readonly string[]): ChildProcess {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, '.state/default-relay/local-ca/ca.crt') };
  return endWithFile(spawn(join(TOP, 'bin/mailrelay'), [...words], { cwd: folder, env }));
}

/** A password is asked for at standard input. */
async function run(words: readonly string[]): Promise<Ran> {
  const child = begin(words);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  child.stdin?.end('correct horse\n');
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const bound = setTimeout(() => child.kill('SIGKILL'), MOST_MS);
  void ended.then(() => clearTimeout(bound));
  if (!LONG.test(words.join(' '))) return { status: await ended, output };
  await until('the first line', () => output !== '');
  child.kill('SIGINT');
  return { status: await ended, output };
}

/** Below 1024, a relay of "mailrelay run" listens at 10000 + port. */
async function forward(port: number): Promise<void> {
  const server = createServer((client) => {
    const relayed = connect(10_000 + port, '127.0.0.1');
    for (const socket of [client, relayed]) socket.on('error', () => socket.destroy());
    client.pipe(relayed).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
}

async function writeFiles(): Promise<void> {
  const { cert, key } = await makePair();
  const users = await run(['hash', '--user', 'alice', '--namespace', 'default']);
  const files = {
    'relay.yaml': `${MANIFEST}---\n${users.output}`,
    'tls.crt': cert,
    'tls.key': key,
    'report.json.gz': gzipSync(JSON.stringify(makeReport())),
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  cpSync(join(TOP, 'examples'), join(folder, 'examples'), { recursive: true });
  for (const name of ['manifests', 'deploy'])
    cpSync(join(folder, 'relay.yaml'), join(folder, name, 'relay.yaml'), { recursive: true });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailrelay-pages-'));
  await writeFiles();
  relay = begin(['run', '-f', 'relay.yaml']);
  let told = '';
  relay.stdout?.on('data', (chunk) => {
    told += chunk;
  });
  relay.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  await until('the relay', () => told.includes('Send a message') || relay.exitCode !== null, 60_000);
  assert.equal(relay.exitCode, null, told + log);
  await Promise.all([25, 587].map(forward));
  nextHop = await Sink.start({
    port: NEXT_HOP_PORT,
    refuse: (address) => (address === NO_SUCH_USER ? 550 : 451),
  });
});

after(async () => {
  const ended = new Promise((resolve) => relay.once('close', resolve));
  relay.kill('SIGTERM');
  await ended;
  await nextHop?.down();
  rmSync(folder, { recursive: true });
});

function listCalls(): string[][] {
  const shell = readPages().flatMap(listShellBlocks).flatMap(listCommandLines);
  const calls = shell.flatMap(listOwnCalls).filter(([name]) => name === 'mailrelay');
  const once = new Map(calls.map(([, ...words]) => [words.join(' '), words]));
  return [...once.values()].map((words) => words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2')));
}

const elsewhere = (words: readonly string[]) => ELSEWHERE.some(([call]) => call.test(words.join(' ')));

/** A message from a program of the pages; gives its queue id. */
async function submit(to: string): Promise<string> {
  const client = await SmtpClient.connect(25);
  await client.hello();
  const text = `Message-ID: <2a3b@app.example.com>\r\n${messageText('pages')}`;
  const reply = await client.send('app@app.example.com', [to], text);
  await client.quit();
  return /queued as (\w+)/.exec(reply)?.[1] ?? assert.fail(reply);
}

/** The words as they stand in the page, for the message `id`, and with the policy that a pod would find by itself. */
function asHere(words: readonly string[], id: string): string[] {
  const named = words.map((word) => (word === PLACEHOLDER ? id : word));
  const needsPolicy = words[0] === 'explain' && words[1]?.includes('@') && !words.includes('-f');
  return needsPolicy ? [...named, '-f', 'relay.yaml'] : named;
}

/** What a file of a call before would stop. */
const madeFiles = ['private.key', 's2.key'];

test('each call of a page does what the page says', async () => {
  const calls = listCalls().filter((words) => !elsewhere(words));
  assert.ok(calls.length > 30, `${calls.length} calls`);
  const faults: string[] = [];
  await submit(NO_SUCH_USER);
  await until('the bounce', () => log.includes('"event":"bounced"'));
  for (const words of calls) {
    for (const name of madeFiles) rmSync(join(folder, name), { force: true });
    writeFileSync(join(folder, 'relay.log'), log);
    const id = words.includes(PLACEHOLDER) ? await submit('you@example.com') : '';
    const { status, output } = await run(asHere(words, id));
    if (status !== 0) faults.push(`mailrelay ${words.join(' ')}: ${status}\n${output}`);
  }
  assert.deepEqual(faults, []);
});

test('each reason for a call that is not run is still needed', () => {
  const calls = listCalls().map((words) => words.join(' '));
  const needless = ELSEWHERE.filter(([call]) => !calls.some((one) => call.test(one)));
  assert.deepEqual(needless, []);
});
