/**
 * `mailrelay queue`: lists and changes the queue of a running relay, as `postqueue` and `postsuper` do for Postfix. A
 * verb changes only the messages that the user named or chose, and `remove` asks first. The exit status is 1 if a named
 * message is not in the queue.
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Done, QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import { confirmed } from './confirm.ts';
import { QueueClient } from './queueclient.ts';
import { readSelection, SELECTING, type Selection, type Wish } from './queueselect.ts';
import { describeDone, describeEntry, describeTotal, QUEUE_HEAD } from './queuetext.ts';
import { stateFolder } from './statefolder.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay queue VERB [ID...] [options]

  list                list the messages in the queue, the oldest first
  show ID...          show single messages in the same form
  hold ID...          hold messages back: they are neither delivered nor returned
  release ID...       release held messages
  retry ID...         try to deliver messages now, without waiting for the next attempt
  remove ID...        remove messages for good; no sender is told
  export ID...        write the messages (RFC 5322) to standard output or into a folder

Instead of ids, options can choose messages; a message must match all options that are given:
      --all              every message
      --held             messages that are held, or set aside as damaged
      --sender WHO       by sender: an address, a domain, *.example.com, or <> for bounces
      --domain DOMAIN    by recipient domain: example.com, or *.example.com for those below
      --older TIME       messages that are in the queue for longer than 30m, 2h or 3d

  -o, --output json      machine-readable
      --yes              remove without asking
      --to DIR           export into this folder, a file ID.eml for each message
      --state DIR        state folder of the relay   (that of the pod, or the one below .state)

In a pod: kubectl exec POD -- mailrelay queue list
`;

interface Asked {
  readonly queue: QueueClient;
  readonly selection: Selection;
  readonly isJson: boolean;
  readonly yes: boolean;
  readonly to: string | undefined;
}

/** The states that each verb can act on. Of the messages that a filter matches, the verb takes only these. */
const CONCERNS: Readonly<Record<QueueAction | 'export', readonly QueueEntry['state'][]>> = {
  hold: ['queued'],
  release: ['held'],
  retry: ['queued'],
  remove: ['queued', 'held', 'damaged'],
  export: ['queued', 'held'],
};

const VERBS: Readonly<Record<string, (asked: Asked) => Promise<number>>> = {
  list,
  show,
  hold: (asked) => act('hold', asked),
  release: (asked) => act('release', asked),
  retry: (asked) => act('retry', asked),
  remove: (asked) => act('remove', asked),
  export: exportMessages,
};

export async function queue(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      ...SELECTING,
      output: { type: 'string', short: 'o', default: 'text' },
      yes: { type: 'boolean', default: false },
      to: { type: 'string' },
      state: { type: 'string' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { values, positionals } = parsed;
  const [verb, ...ids] = positionals;
  const chosen = verb !== undefined && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (!chosen)
    throw new UsageError(
      verb === undefined
        ? 'Say what to do: mailrelay queue list, or see --help'
        : `There is no "queue ${verb}": see --help`,
    );
  const selection = readSelection(ids, values as Wish);
  const isJson = outputOption(values.output) === 'json';
  const client = new QueueClient(stateFolder(values.state));
  return chosen({ queue: client, selection, isJson, yes: values.yes, to: values.to });
}

async function list({ queue: client, selection, isJson }: Asked): Promise<number> {
  if (selection.kind === 'ids') throw new UsageError('list takes no ids: use "mailrelay queue show ID"');
  return print(chosenFrom(client, selection), isJson);
}

async function show({ queue: client, selection, isJson }: Asked): Promise<number> {
  if (selection.kind !== 'ids') throw new UsageError('Name the messages: mailrelay queue show ID...');
  const entries = await Promise.all(selection.ids.map((id) => client.show(id)));
  await print(
    entries.filter((entry) => entry !== undefined),
    isJson,
  );
  return tellUnknown(selection.ids.filter((_, index) => entries[index] === undefined));
}

async function act(action: QueueAction, { queue: client, selection, isJson, yes }: Asked): Promise<number> {
  const ids = await chooseIds(action, client, selection);
  if (action === 'remove' && ids.length > 0 && !yes && !(await confirmed(removal(ids)))) {
    process.stderr.write('Nothing was removed.\n');
    return 1;
  }
  const done = ids.length === 0 ? [] : await client.do(action, ids);
  if (isJson) process.stdout.write(`${JSON.stringify(done, null, 2)}\n`);
  else tell(action, done);
  return done.every(({ result }) => result === 'done') ? 0 : 1;
}

function tell(action: QueueAction, done: readonly Done[]): void {
  if (done.length === 0) process.stdout.write('There is no such message.\n');
  for (const one of done)
    (one.result === 'done' ? process.stdout : process.stderr).write(describeDone(action, one));
}

function removal(ids: readonly string[]): string {
  const what = ids.length === 1 ? `message ${ids[0]}` : `${ids.length} messages`;
  return `Remove ${what} for good, without telling anybody?`;
}

async function exportMessages({ queue: client, selection, to }: Asked): Promise<number> {
  const ids = await chooseIds('export', client, selection);
  if (ids.length > 1 && to === undefined)
    throw new UsageError('Several messages need a folder: add --to DIR, or name one message');
  const unknown: string[] = [];
  for (const id of ids) {
    const message = await client.message(id);
    if (!message) unknown.push(id);
    else if (to === undefined) await pipeline(message, process.stdout as Writable, { end: false });
    else await pipeline(message, createWriteStream(join(to, `${id}.eml`), { flags: 'wx', mode: 0o600 }));
  }
  return tellUnknown(unknown);
}

/**
 * The ids that the user named, or those of the messages that match the filter now. Without ids and filter: wrong usage.
 */
async function chooseIds(
  verb: keyof typeof CONCERNS,
  client: QueueClient,
  selection: Selection,
): Promise<readonly string[]> {
  if (selection.kind === 'ids') return selection.ids;
  if (selection.kind === 'any')
    throw new UsageError(`Say which messages to ${verb}: ids, --all, or what --help lists`);
  const ids: string[] = [];
  for await (const { id, state } of chosenFrom(client, selection))
    if (CONCERNS[verb].includes(state)) ids.push(id);
  return ids;
}

async function* chosenFrom(client: QueueClient, selection: Selection): AsyncGenerator<QueueEntry> {
  const now = Date.now();
  for await (const entry of client.list())
    if (selection.kind !== 'filter' || selection.matches(entry, now)) yield entry;
}

/** Prints each entry as it arrives, because a long queue would need much memory. */
async function print(entries: AsyncIterable<QueueEntry> | Iterable<QueueEntry>, isJson: boolean) {
  const now = Date.now();
  let [messages, held, bytes] = [0, 0, 0];
  for await (const entry of entries) {
    if (isJson) process.stdout.write(`${messages === 0 ? '[\n' : ',\n'}${JSON.stringify(entry)}`);
    else process.stdout.write(`${messages === 0 ? QUEUE_HEAD : ''}${describeEntry(entry, now)}`);
    messages += 1;
    held += entry.state === 'queued' ? 0 : 1;
    bytes += entry.bytes;
  }
  if (isJson) process.stdout.write(messages === 0 ? '[]\n' : '\n]\n');
  else process.stdout.write(describeTotal(messages, held, bytes));
  return 0;
}

function tellUnknown(ids: readonly string[]): number {
  for (const id of ids) process.stderr.write(`There is no message ${id} in the queue.\n`);
  return ids.length === 0 ? 0 : 1;
}
