/**
 * `kubectl mailrelay queue`: the queue tools over all pods of a relay. A message is in the queue of one pod, so each pod
 * gets the ids of its own messages only. A removal is asked about once, here.
 */
import { assertCanAsk, confirmed } from '../confirm.ts';
import { visible } from '../terminal.ts';
import { verb as podQueue } from '../verbs/queue.ts';
import type { Cluster, Ran } from './cluster.ts';
import { exportMessages } from './export.ts';
import type { Form } from './globals.ts';
import { askPods, choosePods, describeErrors, printRan, readJson, runInPods, worstCode } from './inpods.ts';

export interface QueueOrder {
  readonly relay: string;
  readonly action: string;
  /** Ids and options of the verb, as in a pod. */
  readonly words: readonly string[];
  readonly pod?: string | undefined;
  readonly form: Form;
}

type Pods = Pick<Cluster, 'listPods' | 'run' | 'read'>;

export async function runQueue(cluster: Pods, order: QueueOrder): Promise<number> {
  const { relay, action, form } = order;
  if (!takesIds(action) || asksHelp(order.words))
    return runInPods(cluster, { ...order, words: ['queue', action, ...order.words] });
  const { ids, options } = splitWords(action, order.words);
  if (action === 'export') return exportMessages(cluster, { ...order, ids, options });
  const pods = await choosePods(cluster, relay, order.pod);
  const { shares, failed } =
    ids.length === 0
      ? { shares: new Map(pods.map((pod) => [pod, []])), failed: [] }
      : await locate(cluster, pods, ids);
  process.stderr.write(describeErrors(failed));
  const found = new Set([...shares.values()].flat());
  const unknown = ids.filter((id) => !found.has(id));
  for (const id of unknown)
    process.stderr.write(
      `There is no message ${visible(id)} in the queues of ${relay}${failed.length > 0 ? ' that answer' : ''}.\n`,
    );
  if (shares.size === 0) return Math.max(1, worstCode(failed));
  const agreed = action === 'remove' ? await agree(options, ids.length, relay) : [];
  if (agreed === undefined) return 1;
  const json = form === 'text' ? [] : ['-o', 'json'];
  const words = ['queue', action, ...options, ...agreed, ...json, '--'];
  const ran = await askPods([...shares.keys()], (pod) =>
    cluster.run(pod, [...words, ...(shares.get(pod) ?? [])]),
  );
  await printRan(ran, form);
  return Math.max(unknown.length > 0 ? 1 : 0, worstCode([...failed, ...ran]));
}

/** Only the pod knows its options, and who wants to read about them has chosen nothing yet. */
function asksHelp(words: readonly string[]): boolean {
  return words.includes('--help') || words.includes('-h');
}

/** False for verbs that are not about named messages, such as `list` and `lift`: each pod gets all of their words. */
export function takesIds(action: string): boolean {
  const verb = podQueue.commands.find((one) => one.name() === action);
  return verb?.registeredArguments.some((one) => one.name() === 'ids') === true;
}

/** Which words are ids, each once, and which belong to options; the verb of the pod knows its options. */
export function splitWords(
  action: string,
  words: readonly string[],
): { readonly ids: readonly string[]; readonly options: readonly string[] } {
  const verb = podQueue.commands.find((one) => one.name() === action);
  const takesValue = new Set(
    verb?.options.filter(({ required }) => required).flatMap(({ short, long }) => [short, long]),
  );
  const [ids, options]: [string[], string[]] = [[], []];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (word === '--') ids.push(...words.slice(index + 1));
    if (word === '--') break;
    if (!/^-./.test(word)) ids.push(word);
    else options.push(word, ...(takesValue.has(word) ? words.slice(++index, index + 1) : []));
  }
  return { ids: [...new Set(ids)], options };
}

/** The pods that have messages of these ids, each with its own ids; and those that do not say. */
async function locate(
  cluster: Pods,
  pods: readonly string[],
  ids: readonly string[],
): Promise<{ readonly shares: Map<string, string[]>; readonly failed: readonly Ran[] }> {
  const shares = new Map<string, string[]>();
  const failed: Ran[] = [];
  const words = ['queue', 'show', '-o', 'json', '--', ...ids];
  for (const ran of await askPods(pods, (name) => cluster.run(name, words))) {
    const entries = readJson(ran) as readonly { readonly id: string }[] | undefined;
    if (!entries) failed.push(ran);
    else if (entries.length > 0)
      shares.set(
        ran.pod,
        entries.map(({ id }) => id),
      );
  }
  return { shares, failed };
}

/** The option that tells the pods not to ask; undefined if the person does not want it. */
async function agree(
  options: readonly string[],
  count: number,
  relay: string,
): Promise<string[] | undefined> {
  if (options.includes('--yes')) return [];
  const which = count === 0 ? 'the selected messages' : `${count} messages`;
  const question = `Remove ${count === 1 ? 'one message' : which} from the queues of ${relay} for good, without telling anybody?`;
  assertCanAsk(question);
  if (await confirmed(question)) return ['--yes'];
  process.stderr.write('Nothing was removed.\n');
  return undefined;
}
