/** The pages of the documentation against what they speak of: links, manifests, and commands of this program. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { listAll, readTree, type VerbFacts } from '#cli/commandtree.ts';
import { buildPlugin } from '#cli/kubectl/program.ts';
import { buildProgram } from '#cli/program.ts';
import { mailRelaySpec } from '#crds/mailrelay.ts';
import { validateMailRelay } from '#crds/validate.ts';
import {
  type Block,
  chooseRunner,
  listCommandLines,
  listCommands,
  listOwnCalls,
  listShellBlocks,
  type Page,
  readPage,
  readPages,
} from './pages.ts';

const TOP = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = readPages();
const PLUGIN_OPTIONS = ['-n', '-o', '--pod', '--context', '--kubeconfig', '--namespace'];
/** What the tests that run commands have. */
const PROGRAMS = /^(?:kubectl|helm|(?:bin\/)?mailrelay|openssl|ln) /;
const FIELDS = new Set(Object.keys(mailRelaySpec.shape));
/** What a fragment of a spec is merged into. */
const BASE = {
  hostname: 'relay.example.com',
  tls: { secretName: 'relay-tls' },
  inbound: { listeners: [{ name: 'smtp', port: 25 }] },
};

test('every link leads to a file and, behind #, to a heading of it', () => {
  const faults = PAGES.flatMap(({ path, links }) =>
    links
      .filter((link) => !/^[a-z]+:/.test(link))
      .flatMap((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : normalize(join(dirname(path), file));
        const page = PAGES.find((one) => one.path === target);
        const isThere = existsSync(join(TOP, target));
        const isHeading = anchor === undefined || page === undefined || page.anchors.has(decodeURI(anchor));
        return isThere && isHeading ? [] : [`${path}: ${link}`];
      }),
  );
  assert.deepEqual(faults, []);
});

const HALVES = ['', 'relay/', 'operator/'];

/** Files of the code that the text names, from the top or from a half, and that do not exist. */
function listLostFiles(text: string): string[] {
  const named = [...text.matchAll(/`((?:\w+\/)+[\w.]+\.\w+|(?:\w+\/)+)`/g)].map(([, path = '']) => path);
  return named.filter((path) => !HALVES.some((half) => existsSync(join(TOP, half, path))));
}

test('every file that the architecture names exists', () => {
  const text = readFileSync(join(TOP, 'ARCHITECTURE.md'), 'utf8');
  assert.ok([...text.matchAll(/\.ts`/g)].length > 200);
  assert.deepEqual(listLostFiles(text), []);
  assert.deepEqual(listLostFiles('`judge/chain.ts`, `relay/queue/ages.ts`, `relay/gone.ts`'), [
    'relay/gone.ts',
  ]);
});

test('every page is in the index of the documentation, or linked from a page', () => {
  const linked = new Set(
    PAGES.flatMap(({ path, links }) =>
      links.map((link) => normalize(join(dirname(path), link.split('#')[0] ?? ''))),
    ),
  );
  const lost = PAGES.map(({ path }) => path).filter(
    (path) => path.startsWith('docs/') && !path.startsWith('docs/reports/') && !linked.has(path),
  );
  assert.deepEqual(lost, []);
});

test('the index of the documentation leads to every page at the top of the project', () => {
  const index = PAGES.find(({ path }) => path === 'docs/README.md');
  const linked = new Set(index?.links.map((link) => normalize(join('docs', link.split('#')[0] ?? ''))));
  const lost = PAGES.map(({ path }) => path).filter((path) => !path.includes('/') && !linked.has(path));
  assert.deepEqual(lost, []);
});

test('every manifest in a page is valid, whole or in part', () => {
  const manifests = PAGES.flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'yaml'));
  assert.ok(manifests.length > 40);
  const faults = manifests.flatMap((block) => judgeYaml(block).map((fault) => `${block.at}: ${fault}`));
  assert.deepEqual(faults, []);
});

test('a manifest with a fault would be found', () => {
  const judge = (text: string) => judgeYaml({ at: '', language: 'yaml', text }).length;
  assert.equal(judge('outbound: {tls: {level: Verify}}'), 0);
  assert.equal(judge('outbound: {tls: {level: Verified}}'), 1);
  assert.equal(judge('spec: {service: {type: None}}'), 1);
});

function judgeYaml({ text }: Block): string[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) return document.errors.map(({ message }) => message);
    const value = document.toJS() as Record<string, unknown> | null;
    if (value?.['kind'] === 'MailRelay') return listFaults(value);
    const spec = (value?.['spec'] && !value['kind'] ? value['spec'] : value) as Record<string, unknown>;
    const isFragment = spec && Object.keys(spec).every((key) => FIELDS.has(key));
    return isFragment ? listFaults(makeManifest({ ...BASE, ...complete(spec) })) : [];
  });
}

/** A fragment of inbound may leave its listeners out. */
function complete(spec: Record<string, unknown>): Record<string, unknown> {
  const inbound = spec['inbound'] as object | undefined;
  return inbound ? { ...spec, inbound: { ...BASE.inbound, ...inbound } } : spec;
}

function makeManifest(spec: object): object {
  return { apiVersion: 'mailrelay.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'relay' }, spec };
}

function listFaults(value: object): string[] {
  const result = validateMailRelay(value);
  return result.kind === 'valid' ? [] : result.faults.map(({ path, message }) => `${path} ${message}`);
}

const VERBS = (
  await Promise.all([buildPlugin({}), await buildProgram()].map((one) => readTree(one)))
).flatMap(listAll);

/** All that a person may type: lines of a shell, and code in the text. */
function listTyped(page: Page): string[] {
  return [...listShellBlocks(page).flatMap(listCommandLines), ...page.inlineCode];
}

test('every call of this program in a page is one that it knows', () => {
  const faults = PAGES.flatMap((page) =>
    listTyped(page)
      .flatMap(listOwnCalls)
      .flatMap((words) => {
        const fault = judgeCall(words, VERBS);
        return fault === undefined ? [] : [`${page.path}: ${words.join(' ')}: ${fault}`];
      }),
  );
  assert.deepEqual([...new Set(faults)], []);
});

test('code in the text is found, also where a line ends in it', () => {
  const calls = PAGES.flatMap(({ inlineCode }) => inlineCode).flatMap(listOwnCalls);
  const ofPlugin = calls.filter(([name]) => name === 'kubectl');
  assert.ok(calls.length > 100, `${calls.length} calls`);
  assert.ok(ofPlugin.length > 3, `${ofPlugin.length} calls of the plugin`);
  // A mark without its pair would turn code into text, and text into code, to the end of the page.
  const lost = PAGES.flatMap(({ inlineCode }) => inlineCode).filter((code) => code.includes('\n'));
  assert.deepEqual(lost, []);
  const [code] = readPage('a.md', 'First `mailrelay\nstatus`.\n\n```\nexit `date`\n```\n').inlineCode;
  assert.equal(code, 'mailrelay status');
});

test('a call that the program does not know would be found', () => {
  const judge = (line: string) => listOwnCalls(line).map((words) => judgeCall(words, VERBS));
  const known = [
    'mailrelay queue list --state DIR',
    'kubectl exec POD -- mailrelay status',
    'mailrelay queue',
  ];
  for (const line of [...known, 'kubectl mailrelay top relay -n mail'])
    assert.deepEqual(judge(line), [undefined], line);
  for (const line of [
    'mailrelay state',
    'mailrelay queue lists',
    'mailrelay status --nonsense',
    'bin/mailrelay explain joe@partner.example --conect',
    'kubectl exec POD -- mailrelay queue hold --domains partner.example',
    'kubectl mailrelay tops relay',
    'kubectl mailrelay test relay --nonsense',
  ])
    assert.equal(judge(line).filter(Boolean).length, 1, line);
});

test('every value of the chart that a page sets is one of its values', () => {
  const values = parse(readFileSync(join(TOP, 'charts/mailrelay-operator/values.yaml'), 'utf8'));
  const isValue = (path: string) => {
    const found = path
      .split('.')
      .reduce<unknown>((value, name) => (value as Record<string, unknown>)?.[name], values);
    return found !== undefined;
  };
  const set = PAGES.flatMap((page) =>
    listTyped(page)
      .filter((line) => line.includes('mailrelay'))
      .flatMap((line) => [...line.matchAll(/(?:^| )--set (\S+)/g)])
      .flatMap(([, pairs = '']) => pairs.split(','))
      .map((pair) => ({ path: page.path, value: pair.split('=', 1)[0] ?? '' })),
  );
  assert.ok(set.length > 5, `${set.length} values`);
  assert.ok(isValue('relay.image.tag') && !isValue('relay.image.tags'));
  assert.deepEqual(
    set.filter(({ value }) => !isValue(value)),
    [],
  );
});

function judgeCall(words: readonly string[], verbs: readonly VerbFacts[]): string | undefined {
  const verb = verbs.findLast(({ path }) => `${words.join(' ')} `.startsWith(`${path} `));
  if (!verb?.path.includes('mailrelay ')) return 'there is no such verb';
  const next = words[verb.path.split(' ').length] ?? '';
  if (verb.verbs.length > 0 && /^[a-z]/.test(next)) return `${verb.path} has no verb ${next}`;
  // Options of a verb that passes its words on are those of the pod, and -n and its like stand anywhere.
  if (verb.arguments.some(({ name }) => name === 'words')) return undefined;
  const known = new Set([...verb.options.flatMap(({ names }) => names), ...PLUGIN_OPTIONS]);
  const unknown = words
    .map((word) => word.replace(/=.*/, ''))
    .find((word) => /^--?[a-z]/.test(word) && !known.has(word));
  return unknown === undefined ? undefined : `${verb.path} has no option ${unknown}`;
}

test('every command is one that a test runs, or the page says why none does', () => {
  const commands = listCommands(PAGES);
  assert.ok(commands.filter((command) => chooseRunner(command) === 'cluster').length > 60);
  const faults = commands.filter(
    (command) => chooseRunner(command) !== 'none' && !PROGRAMS.test(command.text),
  );
  assert.deepEqual(
    faults.map(({ at, text }) => `${at}: ${text}`),
    [],
    'write "<!-- not run: REASON -->" above the block, or "```text" where it has no command',
  );
});

/** The relay of the examples is in a namespace that is nobody's default. What has no such name is only the name of a command. */
function lacksNamespace(command: string): boolean {
  const names = /^kubectl (?!mailrelay|get --raw|config).*[ /]relay(-\d)?(?= |$)/.test(command);
  return names && !/ (-n|--namespace|-A|--all-namespaces)[ =]?/.test(command);
}

test('every command about the relay of the examples says where it is', () => {
  const faults = PAGES.flatMap((page) =>
    listTyped(page)
      .filter(lacksNamespace)
      .map((command) => `${page.path}: ${command}`),
  );
  assert.deepEqual(faults, []);
  assert.ok(lacksNamespace('kubectl scale mr/relay --replicas=0') && lacksNamespace('kubectl logs relay-0'));
  assert.ok(!lacksNamespace('kubectl get mr relay -n mail -o yaml') && !lacksNamespace('kubectl get mr'));
});

/** Generated pages have the words of the programs, and those for developers say more at once. */
const GUIDES = PAGES.filter(
  ({ path }) =>
    !/^docs\/(reports|zh)\/|(command|reference|performance|CHANGELOG|ARCHITECTURE|CONTRIBUTING)\.md$/.test(
      path,
    ),
);

test('no sentence of a guide has more than 45 words', () => {
  const listLong = (text: string) =>
    text
      .replace(/^ *```[\s\S]*?^ *```|^\|.*$|<!--[\s\S]*?-->/gm, '')
      .split(/(?<=[.:;?!])\s+(?=[A-Z*`[-])|\n\n|\n *(?:\*|\d\.) /)
      // A list of names in code is no sentence.
      .filter((sentence) => !/^`\w+`, `/.test(sentence) && sentence.trim().split(/\s+/).length > 45);
  assert.ok(GUIDES.length > 30);
  assert.deepEqual(
    GUIDES.flatMap(({ path, text }) => listLong(text).map((sentence) => `${path}: ${sentence}`)),
    [],
  );
  assert.equal(listLong(`${'word '.repeat(46)}.`).length, 1);
});

test('each reason why commands are not run stands right above their block', () => {
  const lost = PAGES.filter(({ text, blocks }) => {
    const marks = text.match(/^ *<!-- not run/gm)?.length ?? 0;
    return marks !== blocks.filter(({ notRun }) => notRun !== undefined).length;
  });
  assert.deepEqual(
    lost.map(({ path }) => path),
    [],
  );
});

test('a shell can read every command, also those that are not run', () => {
  const pages = Map.groupBy(listCommands(PAGES), ({ path }) => path);
  const faults = [...pages].flatMap(([path, commands]) => {
    const input = commands.map(({ text }) => `${text}\n`).join('');
    const { status, stderr } = spawnSync('bash', ['-n'], { input, encoding: 'utf8' });
    return status === 0 ? [] : [`${path}: ${stderr}`];
  });
  assert.deepEqual(faults, []);
});
