/** `mailrelay lint`: all faults at once, each with its place, its field and its cure, for people and for programs. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { mailrelay } from '#test/kit/relay.ts';

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
      'bad.yaml:13:5: spec.inbound.listeners: two listeners have t',
      'bad.yaml:17:9: spec.inbound.listeners[0].startls: there is no such fie',
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
    ['value', 'value', 'rule', 'field', 'value'],
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

test('a path that cannot be read is told without a code of the system', async () => {
  const { status, stderr } = await lint('nothing.yaml');
  assert.deepEqual([status, stderr], [1, 'mailrelay: Cannot read "nothing.yaml": there is no such file\n']);
});
