/** `mailrelay lint`: all faults at once, each with its place, its field and its cure, for people and for programs. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { endWithFile } from '#test/kit/child.ts';
import { mailrelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-lint-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly kind: string;
  readonly field: string | null;
  readonly message: string;
}

const HEAD = 'apiVersion: mailrelay.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: relay}\n';
const GOOD = `${HEAD}spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners: [{name: smtp, port: 25}]
`;
const BAD = `# The head of a file counts as lines too.
---
kind: Secret
---
${HEAD}spec:
  hostname: Relay
  tls: &pair {secretName: relay-tls}
  inbound:
    starttls: Maybe
    listeners:
      - name: smtp
        port: 25
        implicitTLS: true
        startls: Enabled
      - {name: smtp, port: "26"}
`;

function write(name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return name;
}

const lint = (...args: string[]) => mailrelay(['lint', ...args], dir);

async function faultsOf(text: string): Promise<Fault[]> {
  const { stdout } = await lint('-o', 'json', write('one.yaml', text));
  return (JSON.parse(stdout) as { faults: Fault[] }[]).flatMap(({ faults }) => faults);
}

test('every fault has its place and its field, and a rule is judged beside faults of other fields', async () => {
  const { status, stdout, stderr } = await lint(write('bad.yaml', BAD));
  assert.deepEqual([status, stderr], [1, '']);
  assert.deepEqual(
    stdout.split('\n').map((line) => line.replace(/(: [a-zA-Z0-9.[\]]+: .{0,20}).*/, '$1')),
    [
      'bad.yaml:9:13: spec.hostname: must be a host name ',
      'bad.yaml:12:15: spec.inbound.starttls: must be Disabled, En',
      'bad.yaml:17:9: spec.inbound.listeners[0].startls: there is no such fie',
      'bad.yaml:18:16: spec.inbound.listeners[1].name: two listeners have t',
      'bad.yaml:18:28: spec.inbound.listeners[1].port: must be a number, no',
      '',
    ],
  );
});

test('files and folders are arguments or options, and one that is right is named', async () => {
  write('good.yaml', GOOD);
  for (const args of [['good.yaml'], ['-f', 'good.yaml'], ['--file', 'good.yaml']])
    assert.deepEqual(await lint(...args), {
      status: 0,
      stdout: 'good.yaml: MailRelay relay: ok\n',
      stderr: '',
    });
  const both = await lint('good.yaml', '-f', write('bad.yaml', BAD));
  assert.equal(both.status, 1);
  assert.match(both.stdout, /^good\.yaml: MailRelay relay: ok\nbad\.yaml:9:13: /);
});

test('text that is no YAML is a fault with a place, in every form', async () => {
  for (const [text, line, column, words] of [
    ['a: [b\n', 2, 1, 'closing bracket'],
    ['a:\n\tb: 1\n', 2, 1, 'use spaces'],
    ['a: 1\na: 2\n', 2, 1, 'twice'],
    ['a: b: c\n', 1, 4, 'one line'],
    ['a: "x\nb: 1\n', 3, 1, 'closing quote'],
    ['{', 1, 2, 'closing bracket'],
    ['- a\nb: 1\n', 2, 1, 'does not belong here'],
    [`${GOOD}  pod: *x\n`, 9, 8, 'alias'],
    [`${GOOD}---\nx: [\n`, 11, 1, 'closing bracket'],
  ] as const) {
    const faults = await faultsOf(text);
    const [fault] = faults;
    assert.deepEqual(
      [faults.length, fault?.line, fault?.column, fault?.kind],
      [1, line, column, 'yaml'],
      text,
    );
    assert.ok(fault?.message.includes(words), String(fault?.message));
  }
});

test('a file without a MailRelay is a fault', async () => {
  const faults = await faultsOf('kind: Pod\n');
  assert.deepEqual(
    faults.map(({ kind, field }) => [kind, field]),
    [['missing', null]],
  );
  assert.equal((await faultsOf('')).length, 1);
});

test('JSON and YAML say the same', async () => {
  write('bad.yaml', BAD);
  const [json, yaml] = [await lint('bad.yaml', '-o', 'json'), await lint('bad.yaml', '-o', 'yaml')];
  assert.deepEqual([json.status, yaml.status], [1, 1]);
  assert.deepEqual(parse(yaml.stdout), JSON.parse(json.stdout));
});

test('SARIF has each fault with its rule, its region and a path from the working folder', async () => {
  write('two words.yaml', BAD);
  const { status, stdout } = await lint('two words.yaml', '-o', 'sarif');
  assert.equal(status, 1);
  const log = JSON.parse(stdout);
  assert.equal(log.version, '2.1.0');
  const [{ tool, results }] = log.runs;
  const rules = new Set(tool.driver.rules.map(({ id }: { id: string }) => id));
  assert.deepEqual(
    results.map(({ ruleId }: { ruleId: string }) => ruleId),
    ['value', 'value', 'field', 'rule', 'value'],
  );
  for (const { ruleId, level, message, locations } of results) {
    assert.ok(rules.has(ruleId) && level === 'error' && message.text !== '');
    const [{ physicalLocation }] = locations;
    assert.equal(physicalLocation.artifactLocation.uri, 'two%20words.yaml');
    assert.ok(physicalLocation.region.startLine > 8 && physicalLocation.region.startColumn > 4);
  }
  const fine = JSON.parse((await lint('-o', 'sarif', write('good.yaml', GOOD))).stdout);
  assert.deepEqual(fine.runs[0].results, []);
});

test('a path that cannot be read is a fault that hides no other, in every form', async () => {
  write('bad.yaml', BAD);
  const alone = await lint('nothing.yaml');
  assert.deepEqual(alone, {
    status: 1,
    stdout: 'nothing.yaml:1:1: cannot be read: there is no such file\n',
    stderr: '',
  });
  const both = await lint('bad.yaml', 'nothing.yaml');
  assert.match(both.stdout, /^bad\.yaml:9:13: (?:.*\n)+nothing\.yaml:1:1: cannot be read/);
  const { runs } = JSON.parse((await lint('-o', 'sarif', 'nothing.yaml', 'bad.yaml')).stdout);
  assert.deepEqual([runs[0].results[0].ruleId, runs[0].results.length], ['file', 6]);
});

test('text that is nested too deeply is a fault in our words', async () => {
  for (const depth of [3_000, 20_000]) {
    const [fault, ...more] = await faultsOf(`a: ${'['.repeat(depth)}${']'.repeat(depth)}\n`);
    assert.deepEqual([fault?.kind, more], ['yaml', []], String(depth));
    assert.match(fault?.message ?? '', /too deeply/);
  }
});

test('a MailRelay in a List is checked, and its faults have their places', async () => {
  const items = BAD.slice(BAD.indexOf('apiVersion')).replaceAll(/^/gm, '    ');
  for (const kind of ['List', 'MailRelayList']) {
    const faults = await faultsOf(`apiVersion: v1\nkind: ${kind}\nitems:\n  -\n${items.trimEnd()}\n`);
    assert.deepEqual(
      faults.map(({ line, column, field }) => [line, column, field]).slice(0, 2),
      [
        [9, 17, 'spec.hostname'],
        [12, 19, 'spec.inbound.starttls'],
      ],
      kind,
    );
  }
});

test('a fault between fields is at the entry that has it, and names its value', async () => {
  const faults = await faultsOf(`${HEAD}spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    clients:
      networks: [10.0.0.0/8, 10.0.0.0/33, foo]
    listeners:
      - {name: a, port: 25}
      - {name: b, port: 25}
      - {name: c, port: 99999}
  outbound:
    routes:
      - recipientDomains: [a.example]
        tls: {level: Dane}
`);
  assert.deepEqual(
    faults.map(({ line, field, kind, message }) => [line, field, kind, /\(it is (.*)\)$/.exec(message)?.[1]]),
    [
      [9, 'spec.inbound.clients.networks[1]', 'rule', '"10.0.0.0/33"'],
      [9, 'spec.inbound.clients.networks[2]', 'value', undefined],
      [12, 'spec.inbound.listeners[1].port', 'rule', '25'],
      [13, 'spec.inbound.listeners[2].port', 'value', undefined],
      [17, 'spec.outbound.routes[0].tls.level', 'rule', '"Dane"'],
    ],
  );
});

test('every verb that reads a manifest lists its faults in the order of the text', async () => {
  write('bad.yaml', BAD);
  const linted = (await lint('bad.yaml')).stdout;
  for (const args of [
    ['run', 'bad.yaml'],
    ['explain', 'a@b.example', '-f', 'bad.yaml'],
  ] as const) {
    const { status, stderr } = await mailrelay(args, dir);
    assert.deepEqual([status, stderr.replace('mailrelay: ', '')], [1, linted], args[0]);
  }
});

test('a pipe is read, and one without a writer keeps no signal away', async () => {
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const read = lint('pipe');
  await writeFile(pipe, GOOD);
  assert.equal((await read).stdout, 'pipe: MailRelay relay: ok\n');
  for (const args of [
    ['lint', pipe],
    ['trace', '-f', pipe],
    ['tlsrpt', pipe],
  ]) {
    const child = endWithFile(spawn(process.execPath, [MAIN, ...args], { stdio: 'ignore' }));
    const files = `/proc/${child.pid}/fd`;
    const ended = once(child, 'exit');
    await until('the open pipe', () =>
      readdirSync(files).some((file) => readlinkSync(join(files, file)) === pipe),
    );
    child.kill('SIGTERM');
    const late = setTimeout(60_000, ['late'], { ref: false });
    assert.deepEqual((await Promise.race([ended, late]))[0], 143, args.join(' '));
  }
});

test('what the API server takes, and a person may not have meant, is a warning, and no failure', async () => {
  const loose = `${GOOD.replace('hostname: relay', 'hostname: my_relay')}    clients: {networks: [10.0.0.1/8]}\n`;
  const { status, stdout } = await lint(write('loose.yaml', loose));
  assert.match(
    stdout,
    /^loose\.yaml:5:13: warning: spec\.hostname: has an underscore: .*\nloose\.yaml:9:26: warning: spec\.inbound\.clients\.networks\[0\]: stands for all of 10\.0\.0\.0\/8: .*\nloose\.yaml: MailRelay relay: ok\n$/,
  );
  assert.equal(status, 0);
  assert.deepEqual(
    (await faultsOf(loose)).map(({ kind }) => kind),
    ['warning', 'warning'],
  );
  const { stdout: log } = await lint('-o', 'sarif', 'loose.yaml');
  assert.deepEqual(
    [...log.matchAll(/"level": "(\w+)"/g)].map(([, level]) => level),
    ['warning', 'warning'],
  );
});
