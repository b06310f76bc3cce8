/**
 * The commands of the pages as a reader types them, on a cluster that has nothing of this project: those that need a cluster, and
 * what else a shell of the pages runs beside them. Each does what its page promises. The order is that of a reader: how the
 * operator is installed, the first relay, kubectl mailrelay, STARTTLS, and then every other page. Part of "make soak".
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Command } from '#test/arch/pages.ts';
import type { Sink } from '#test/kit/sink.ts';
import { kubectl, prepared } from './kube.ts';
import { PROMISES, type Promised } from './pages/promises.ts';
import { type Ran, Reader } from './pages/reader.ts';
import {
  COMMANDS,
  NAMESPACE,
  removePrometheusRules,
  startPartner,
  uninstall,
  writeFiles,
} from './pages/scenes.ts';

const FIRST = [
  'docs/gitops.md',
  'charts/mailrelay-operator/README.md',
  'README.md',
  'docs/kubectl.md',
  'docs/starttls.md',
];
const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
const skip =
  (!SOAK && 'part of "make soak"') ||
  (prepared().containerd === '' && 'needs the image in the registry that the pages name');

/**
 * The commands of each page in the order of a reader. A command that stands in several pages is typed once. So those of the Chinese
 * pages are typed as those of the English ones, in the same order: test/arch/translations.test.ts proves that they are equal.
 */
function listPages(): Map<string, Command[]> {
  const rank = ({ path }: Command) => (FIRST.includes(path) ? FIRST.indexOf(path) : FIRST.length);
  const commands = COMMANDS.toSorted((a, b) => rank(a) - rank(b));
  const isFirst = ({ text }: Command, index: number) =>
    commands.findIndex((other) => other.text === text) === index;
  return Map.groupBy(commands.filter(isFirst), ({ path }) => path);
}

async function type(reader: Reader, { at, text }: Command): Promise<void> {
  const promised: Promised = PROMISES.find(({ command }) => command.test(text)) ?? { command: /^/ };
  await promised.given?.(reader);
  const { status, output } = await runAs(promised, reader, text);
  const told = `${at}: ${text}\n${output}`;
  assert.equal(status, 0, told);
  if (promised.shows) assert.match(output, promised.shows, told);
  await promised.outcome?.(reader);
}

function runAs({ typed, shows = /^/ }: Promised, reader: Reader, text: string): Promise<Ran> {
  switch (typed) {
    case 'again':
      return reader.watch(text, shows);
    case 'running':
      return reader.follow(text, shows);
    default:
      return reader.run(text);
  }
}

describe('the commands of the pages', { concurrency: false, skip }, () => {
  let reader: Reader;
  let partner: Sink;

  before(async () => {
    reader = Reader.create();
    partner = await startPartner();
    writeFiles(reader);
    uninstall();
    kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found']);
  });

  after(async () => {
    await partner?.down();
    reader?.remove();
    removePrometheusRules();
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found']);
  });

  for (const [path, commands] of listPages())
    test(`${path}: ${commands.length}`, async () => {
      for (const command of commands) await type(reader, command);
    });
});

test('each promise is that of a command', () => {
  const needless = PROMISES.filter(({ command }) => !COMMANDS.some(({ text }) => command.test(text)));
  assert.deepEqual(needless, []);
});
