/**
 * `mailrelay queue`: lists and changes the queue of a running relay, as `postqueue` and `postsuper` do for Postfix. A
 * verb changes only the messages that the person named or selected, and `remove` asks first. The exit status is 1 if a
 * named message is not in the queue. Wrong usage is found before a relay is looked for.
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describeFileError } from '#crds/systemwords.ts';
import type { QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import { makeFolder } from '#relay/task/folder.ts';
import { assertCanAsk, confirmed } from './confirm.ts';
import { print } from './output.ts';
import { QueueClient } from './queueclient.ts';
import { printEntries } from './queuelist.ts';
import { readSelection, type Selection, type Wish } from './queueselect.ts';
import {
  describeDone,
  describeExported,
  describeNothing,
  describeSummary,
  type Result,
} from './queuetext.ts';
import { stateFolder } from './statefolder.ts';
import { visible } from './terminal.ts';
import { UsageError } from './usage.ts';
import type { Format } from './verb.ts';

interface ListOptions extends Wish {
  readonly state?: string;
  readonly output: Format;
}

interface ActOptions extends ListOptions {
  readonly yes?: boolean;
  readonly ids?: boolean;
}

interface ExportOptions extends Wish {
  readonly state?: string;
  readonly to?: string;
}

type Selecting = QueueAction | 'export';
type Chosen = Exclude<Selection, { kind: 'any' }>;

/** The states that each verb can act on. Of the messages that a filter matches, the verb takes only these. */
const CONCERNS: Readonly<Record<Selecting, readonly QueueEntry['state'][]>> = {
  hold: ['queued'],
  release: ['held'],
  retry: ['queued'],
  remove: ['queued', 'held', 'damaged'],
  export: ['queued', 'held'],
};

export async function list(options: ListOptions): Promise<number> {
  const selection = readSelection([], options);
  const isWhole = options.all === true;
  await printEntries(selectFrom(connect(options.state), selection), options.output, isWhole);
  return 0;
}

export async function show(
  ids: readonly string[],
  { state, output }: Pick<ListOptions, 'state' | 'output'>,
): Promise<number> {
  const client = connect(state);
  const entries = await Promise.all(ids.map((id) => client.show(id)));
  await printEntries(
    entries.filter((entry) => entry !== undefined),
    output,
    true,
  );
  return tellUnknown(ids.filter((_, index) => entries[index] === undefined));
}

const act =
  (action: QueueAction) =>
  async (named: readonly string[], options: ActOptions): Promise<number> => {
    const selection = readChoice(action, named, options);
    const mustAsk = action === 'remove' && options.yes !== true;
    if (mustAsk) assertCanAsk(describeRemoval(named));
    const client = connect(options.state);
    const ids = await chooseIds(action, client, selection);
    if (mustAsk && ids.length > 0 && !(await confirmed(describeRemoval(ids)))) {
      process.stderr.write('Nothing was removed.\n');
      return 1;
    }
    const results = ids.length === 0 ? [] : await client.act(action, ids);
    const isSummed = selection.kind === 'filter' && options.ids !== true;
    if (options.output !== 'text') await print(options.output, results, () => '');
    else if (isSummed) process.stdout.write(describeSummary(action, results));
    else tell(action, results);
    return results.every(({ result }) => result === 'done') ? 0 : 1;
  };

export const hold = act('hold');
export const release = act('release');
export const retry = act('retry');
export const remove = act('remove');

export async function exportMessages(named: readonly string[], options: ExportOptions): Promise<number> {
  const { state, to } = options;
  const selection = readChoice('export', named, options);
  if (named.length > 1 && to === undefined) throw needsFolder();
  const client = connect(state);
  const ids = await chooseIds('export', client, selection);
  if (ids.length > 1 && to === undefined) throw needsFolder();
  if (to !== undefined) openFolder(to);
  const unknown: string[] = [];
  for (const id of ids) {
    const message = await client.message(id);
    if (!message) unknown.push(id);
    else if (to === undefined) await pipeline(message, process.stdout as Writable, { end: false });
    else await writeMessage(message, join(to, `${id}.eml`));
  }
  // Without a folder standard output has the message alone.
  if (to !== undefined) process.stdout.write(describeExported(ids.length - unknown.length, to));
  else if (ids.length === 0) process.stderr.write(describeNothing('export'));
  return tellUnknown(unknown);
}

export function openFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (error) {
    throw describeFileError('write', folder, error);
  }
}

/** Never over a file that is there. */
export async function writeMessage(message: Readable, file: string): Promise<void> {
  try {
    await pipeline(message, createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  } catch (error) {
    throw describeFileError('write', file, error);
  }
}

export function needsFolder(): UsageError {
  return new UsageError('Several messages need a folder: add --to DIR, or name one message');
}

function connect(state: string | undefined): QueueClient {
  return new QueueClient(stateFolder(state));
}

function tell(action: QueueAction, done: readonly Result[]): void {
  if (done.length === 0) process.stdout.write(describeNothing(action));
  for (const one of done)
    (one.result === 'done' ? process.stdout : process.stderr).write(describeDone(action, one));
}

/** `ids` is empty while it is not known which messages the options select. */
function describeRemoval(ids: readonly string[]): string {
  const many = ids.length === 0 ? 'the selected messages' : `${ids.length} messages`;
  return `Remove ${ids.length === 1 ? `message ${visible(ids[0] ?? '')}` : many} for good, without telling anybody?`;
}

/** Without ids and without a filter: wrong usage, because no verb takes silence for all messages. */
function readChoice(verb: Selecting, ids: readonly string[], wish: Wish): Chosen {
  const selection = readSelection(ids, wish);
  if (selection.kind === 'any')
    throw new UsageError(
      `Say which messages to ${verb}: ids, --all, or what "mailrelay queue ${verb} --help" lists`,
    );
  return selection;
}

/** The ids that the person named, or those of the messages that match the filter now. */
async function chooseIds(
  verb: Selecting,
  client: QueueClient,
  selection: Chosen,
): Promise<readonly string[]> {
  if (selection.kind === 'ids') return selection.ids;
  const ids: string[] = [];
  for await (const { id, state } of selectFrom(client, selection))
    if (CONCERNS[verb].includes(state)) ids.push(id);
  return ids;
}

async function* selectFrom(client: QueueClient, selection: Selection): AsyncGenerator<QueueEntry> {
  const now = Date.now();
  for await (const entry of client.list())
    if (selection.kind !== 'filter' || selection.matches(entry, now)) yield entry;
}

function tellUnknown(ids: readonly string[]): number {
  for (const id of ids) process.stderr.write(`There is no message ${visible(id)} in the queue.\n`);
  return ids.length === 0 ? 0 : 1;
}
