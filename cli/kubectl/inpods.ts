/**
 * Runs a verb of the command in the pods of a relay, each with the version of that pod, and prints what they say. The
 * exit status is the worst one, and 1 if a pod does not run.
 */
import { stringify } from 'yaml';
import type { Cluster, Ran } from './cluster.ts';

export type Form = 'text' | 'json' | 'yaml';

export interface Order {
  readonly relay: string;
  readonly words: readonly string[];
  /** Only this pod. */
  readonly pod?: string | undefined;
  readonly form: Form;
}

export async function runInPods(cluster: Cluster, { relay, words, pod, form }: Order): Promise<number> {
  const pods = await choosePods(cluster, relay, pod);
  const spoken = form === 'text' ? words : [...words, '-o', 'json'];
  const ran = await Promise.all(pods.map((name) => cluster.run(name, spoken)));
  printRan(ran, form);
  return Math.max(0, ...ran.map(({ code }) => code));
}

/** The names of the pods that run. Of others it is told why nothing is heard of them. */
export async function choosePods(cluster: Cluster, relay: string, pod?: string): Promise<string[]> {
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

export function printRan(ran: readonly Ran[], form: Form): void {
  const isOne = ran.length === 1;
  for (const { pod, errors } of ran)
    for (const line of errors.split('\n'))
      if (line !== '') process.stderr.write(isOne ? `${line}\n` : `${pod}: ${line}\n`);
  if (form !== 'text') {
    const values = Object.fromEntries(ran.map(({ pod, out }) => [pod, out === '' ? null : JSON.parse(out)]));
    process.stdout.write(form === 'json' ? `${JSON.stringify(values, null, 2)}\n` : stringify(values));
    return;
  }
  for (const [index, { pod, out }] of ran.entries())
    process.stdout.write(isOne ? out : `${index === 0 ? '' : '\n'}${pod}\n${out}`);
}
