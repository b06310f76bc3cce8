/**
 * Prints the entries of a queue, each as it arrives, because a long queue would need much memory. The text for people
 * ends at a screenful, and the rest is counted. JSON and YAML are always whole.
 */
import type { QueueEntry } from '#relay/queue/tools.ts';
import { formatJson, formatYaml } from './output.ts';
import {
  describeEntry,
  describeRest,
  describeTotal,
  describeWide,
  QUEUE_HEAD,
  WIDE_HEAD,
} from './queuetext.ts';
import { paint } from './styles.ts';
import type { Format } from './verb.ts';

type Entries = AsyncIterable<QueueEntry> | Iterable<QueueEntry>;

/** Where the output is no terminal. */
const LINES = 40;
/** Lines of a terminal that the list leaves for its end and the prompt. */
const KEPT_LINES = 4;

export function printEntries(entries: Entries, format: Format, isWhole: boolean): Promise<void> {
  switch (format) {
    case 'json':
      return printJson(entries);
    case 'yaml':
      return printYaml(entries);
    default:
      return printText(entries, format, isWhole);
  }
}

async function printJson(entries: Entries): Promise<void> {
  let isFirst = true;
  for await (const entry of entries) {
    process.stdout.write(`${isFirst ? '[\n' : ',\n'}${formatJson(entry)}`);
    isFirst = false;
  }
  process.stdout.write(isFirst ? '[]\n' : '\n]\n');
}

async function printYaml(entries: Entries): Promise<void> {
  let isFirst = true;
  for await (const entry of entries) {
    process.stdout.write(await formatYaml([entry]));
    isFirst = false;
  }
  if (isFirst) process.stdout.write('[]\n');
}

async function printText(entries: Entries, format: Format, isWhole: boolean): Promise<void> {
  const [head, describe] =
    format === 'wide' ? ([WIDE_HEAD, describeWide] as const) : ([QUEUE_HEAD, describeEntry] as const);
  const now = Date.now();
  let [messages, held, bytes, rest, linesLeft] = [
    0,
    0,
    0,
    0,
    isWhole ? Number.POSITIVE_INFINITY : screenful(),
  ];
  for await (const entry of entries) {
    const text = describe(entry, now);
    linesLeft -= text.split('\n').length - 1;
    // One message is always shown, however many recipients it has.
    if (messages > 0 && (rest > 0 || linesLeft < 0)) rest += 1;
    else process.stdout.write(`${messages === 0 ? paint('bold', head) : ''}${text}`);
    messages += 1;
    held += entry.state === 'queued' ? 0 : 1;
    bytes += entry.bytes;
  }
  process.stdout.write(`${describeRest(rest)}${describeTotal(messages, held, bytes)}`);
}

/** In lines. */
export function screenful(): number {
  const { rows } = process.stdout;
  return rows ? Math.max(1, rows - KEPT_LINES) : LINES;
}
