/**
 * Runs a verb of the command in the pods of a relay, each with the version of that pod, and prints what they say. The
 * exit status is the worst one. A pod that has not found the mail is no failure where another one has.
 */
import { visibleLines } from '#crds/visible.ts';
import { print } from '../output.ts';
import type { Cluster, Ran } from './cluster.ts';
import { addOptions, type Form } from './globals.ts';

/** The exit status of a command whose words are wrong. */
export const WRONG_USAGE = 2;

export interface Order {
  readonly relay: string;
  readonly words: readonly string[];
  /** Only this pod. */
  readonly pod?: string | undefined;
  readonly form: Form;
}

export async function runInPods(
  cluster: Pick<Cluster, 'listPods' | 'run'>,
  { relay, words, pod, form }: Order,
): Promise<number> {
  const pods = await choosePods(cluster, relay, pod);
  const spoken = form === 'text' ? words : addOptions(words, '-o', 'json');
  const ran = await askPods(pods, (name) => cluster.run(name, spoken));
  await printRan(ran, form);
  return words[0] === 'find' ? judgeFound(ran) : worstCode(ran);
}

/**
 * A pod that cannot be asked, such as one whose node is away, says so in its place, and takes nothing from the answers of
 * the others. Throws if none can be asked.
 */
export async function askPods(
  pods: readonly string[],
  ask: (pod: string) => Promise<Ran>,
): Promise<readonly Ran[]> {
  const asked = await Promise.allSettled(pods.map(ask));
  const [first] = asked;
  if (first?.status === 'rejected' && asked.every(({ status }) => status === 'rejected')) throw first.reason;
  return asked.map((one, index) =>
    one.status === 'fulfilled'
      ? one.value
      : { pod: pods[index] ?? '', code: 1, out: '', errors: `${(one.reason as Error).message}\n` },
  );
}

/** What a command printed as JSON. Undefined: nothing, or a part, because the relay in the pod ended meanwhile. */
export function readJson({ out }: Ran): unknown {
  try {
    return JSON.parse(out);
  } catch {
    return undefined;
  }
}

export function worstCode(ran: readonly Ran[]): number {
  return Math.max(0, ...ran.map(({ code }) => code));
}

/** `find` ends with 1 where nothing is found, and says nothing of it to standard error. */
export function judgeFound(ran: readonly Ran[]): number {
  const others = ran.filter(({ code, errors }) => code !== 1 || errors !== '');
  return others.length === 0 ? 1 : worstCode(others);
}

/** The names of the pods that run. Of others it is told why nothing is heard of them. */
export async function choosePods(
  cluster: Pick<Cluster, 'listPods'>,
  relay: string,
  pod?: string,
): Promise<string[]> {
  const pods = await cluster.listPods(relay);
  const wanted = pod === undefined ? pods : pods.filter(({ metadata }) => metadata.name === pod);
  if (pod !== undefined && wanted.length === 0)
    throw new Error(
      `MailRelay "${relay}" has no pod "${pod}", only ${pods.map(({ metadata }) => metadata.name).join(', ')}`,
    );
  const running = wanted.filter(({ status }) => status?.phase === 'Running');
  for (const { metadata, status } of wanted)
    if (status?.phase !== 'Running')
      process.stderr.write(`Pod ${metadata.name} does not run (${status?.phase ?? 'unknown'}).\n`);
  if (running.length === 0)
    throw new Error(`No pod of MailRelay "${relay}" runs: see "kubectl get mr ${relay} -o wide"`);
  return running.map(({ metadata }) => metadata.name);
}

export async function printRan(ran: readonly Ran[], form: Form): Promise<void> {
  process.stderr.write(describeErrors(ran));
  const values = Object.fromEntries(ran.map((one) => [one.pod, readJson(one) ?? null]));
  await print(form, values, () => describeOutput(ran));
}

/** Wrong usage is wrong in all pods, so it is told once. */
export function describeErrors(ran: readonly Ran[]): string {
  const [first] = ran;
  const isUsage = ran.every(({ code, errors }) => code === WRONG_USAGE && errors === first?.errors);
  if (first && (ran.length === 1 || isUsage))
    return visibleLines(first.errors.replace(/\n*$/, '\n').replace(/^\n$/, ''));
  const lines = ran.flatMap(({ pod, errors }) => errors.split('\n').map((line) => [pod, line] as const));
  return visibleLines(lines.map(([pod, line]) => (line === '' ? '' : `${pod}: ${line}\n`)).join(''));
}

/** With the name of the pod above what it printed, where several were asked. A pod is of another version, or not what it was. */
export function describeOutput(ran: readonly Ran[]): string {
  if (ran.length === 1) return visibleLines(ran[0]?.out ?? '');
  const spoke = ran.filter(({ out }) => out !== '');
  return visibleLines(spoke.map(({ pod, out }) => `${pod}\n${out}`).join('\n'));
}
