/**
 * `kubectl mailrelay queue export`: messages out of the queues of the pods, to standard output or into a folder of this
 * machine. A pod finds the messages by its own options, and gives them one by one.
 */

import { join } from 'node:path';
import { Readable } from 'node:stream';
import { needsFolder, openFolder, writeMessage } from '../queue.ts';
import { visible } from '../terminal.ts';
import { UsageError } from '../usage.ts';
import type { Cluster } from './cluster.ts';
import type { Form } from './globals.ts';
import { askPods, choosePods, describeErrors, readJson, worstCode } from './inpods.ts';

export interface ExportOrder {
  readonly relay: string;
  readonly ids: readonly string[];
  /** Of "mailrelay queue export". */
  readonly options: readonly string[];
  readonly pod?: string | undefined;
  readonly form: Form;
}

type Pods = Pick<Cluster, 'listPods' | 'run' | 'read'>;

interface Message {
  readonly pod: string;
  readonly id: string;
}

export async function exportMessages(cluster: Pods, order: ExportOrder): Promise<number> {
  const { folder, selecting } = takeFolder(order.options);
  assertChosen(order, selecting, folder);
  const pods = await choosePods(cluster, order.relay, order.pod);
  const { messages, code } = await findMessages(cluster, pods, order.ids, selecting);
  if (code !== 0) return code;
  if (messages.length > 1 && folder === undefined) throw needsFolder();
  const unknown = order.ids.filter((wanted) => messages.every(({ id }) => id !== wanted));
  for (const id of unknown) tell(`There is no message ${visible(id)} in the queues of ${order.relay}.\n`);
  if (folder !== undefined && messages.length > 0) openFolder(folder);
  let worst = unknown.length > 0 ? 1 : 0;
  for (const message of messages) worst = Math.max(worst, await exportOne(cluster, message, folder));
  return worst;
}

/** The folder is one of this machine, so no pod hears of it. */
export function takeFolder(options: readonly string[]): {
  readonly folder: string | undefined;
  readonly selecting: readonly string[];
} {
  const selecting = [...options];
  const at = selecting.findIndex((word) => /^--to(=|$)/.test(word));
  if (at === -1) return { folder: undefined, selecting };
  const [word = ''] = selecting.splice(at, 1);
  const folder = word === '--to' ? selecting.splice(at, 1)[0] : word.slice('--to='.length);
  if (!folder) throw new UsageError('Option "--to" has no value: write --to DIR');
  return { folder, selecting };
}

function assertChosen(
  { ids, form }: ExportOrder,
  selecting: readonly string[],
  folder: string | undefined,
): void {
  if (form !== 'text')
    throw new UsageError(`Option "--output" cannot be "${form}" with the verb queue export: leave it out`);
  if (ids.length > 0 && selecting.length > 0)
    throw new UsageError('Name messages, or choose them by options, not both');
  if (ids.length === 0 && selecting.length === 0)
    throw new UsageError(
      'Say which messages to export: ids, --all, or what "mailrelay queue export --help" lists',
    );
  if (ids.length > 1 && folder === undefined) throw needsFolder();
}

/** A message that is damaged cannot be given. */
async function findMessages(
  cluster: Pods,
  pods: readonly string[],
  ids: readonly string[],
  selecting: readonly string[],
): Promise<{ readonly messages: readonly Message[]; readonly code: number }> {
  const words = ids.length > 0 ? ['show', '-o', 'json', '--', ...ids] : ['list', ...selecting, '-o', 'json'];
  const ran = await askPods(pods, (pod) => cluster.run(pod, ['queue', ...words]));
  const failed = ran.filter((one) => readJson(one) === undefined);
  tell(describeErrors(failed));
  const messages = ran.flatMap((one) => {
    const entries = (readJson(one) ?? []) as readonly { readonly id: string; readonly state: string }[];
    return entries.filter(({ state }) => state !== 'damaged').map(({ id }) => ({ pod: one.pod, id }));
  });
  return { messages, code: worstCode(failed) };
}

async function exportOne(cluster: Pods, { pod, id }: Message, folder: string | undefined): Promise<number> {
  // It becomes the name of a file here, and the pod has named it.
  if (!/^\w+$/.test(id))
    throw new Error(`Pod "${pod}" has a message "${id}", which is no queue id: nothing of it was written`);
  const { code, out, errors } = await cluster.read(pod, ['queue', 'export', '--', id]);
  tell(errors);
  if (code !== 0) return code;
  if (folder === undefined) process.stdout.write(out);
  else await writeMessage(Readable.from([out]), join(folder, `${id}.eml`));
  return 0;
}

function tell(text: string): void {
  process.stderr.write(text);
}
