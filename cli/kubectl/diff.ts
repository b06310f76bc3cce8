/**
 * `kubectl mailrelay diff`: what a manifest changes on the cluster, field by field, and what restarts because of it.
 * Nothing is written: the API server judges the manifest by a dry run. The exit status is 1 if there is a difference.
 */
import { isDeepStrictEqual } from 'node:util';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { MAIL_RELAY } from '#operator/kube/kinds.ts';
import { planRestart } from '#relay/supervisor/plan.ts';
import { readManifests } from '../documents.ts';
import { quoteWord, visible } from '../terminal.ts';
import type { Cluster, LiveRelay } from './cluster.ts';
import { isFields, planDryRun } from './dryrun.ts';
import { renderRelay } from './render.ts';

/** As with kubectl, the namespace of the manifest counts, and -n may not name another one. */
export async function diffFile(
  connect: (namespace?: string) => Promise<Cluster>,
  file: string,
): Promise<number> {
  const { relay, written } = await readManifests(file);
  const { name, namespace, namesNamespace } = relay;
  const cluster = await connect(namesNamespace ? namespace : undefined);
  const live = await cluster.findRelay(name);
  const wanted = await cluster.request<LiveRelay>({
    path: cluster.path(MAIL_RELAY, name),
    ...planDryRun(live, { name, namespace: cluster.namespace, spec: written.spec }),
  });
  if (!live) {
    process.stdout.write(`MailRelay ${name} is new in namespace ${cluster.namespace}.\n`);
    return 1;
  }
  const changes = listChanges(live.spec, wanted.spec, 'spec');
  if (changes.length === 0) {
    process.stdout.write('No difference.\n');
    return 0;
  }
  process.stdout.write(
    `${changes.join('\n')}\n${describeEffect({ name, namespace: cluster.namespace }, live.spec, wanted.spec)}\n`,
  );
  return 1;
}

/** One line for each field that differs; of lists with other entries the whole list. */
export function listChanges(before: unknown, after: unknown, path: string): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isFields(before) && isFields(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => listChanges(before[key], after[key], `${path}.${key}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((entry, index) => listChanges(entry, after[index], `${path}[${index}]`));
  return [visible(`${path}: ${print(before)} -> ${print(after)}`)];
}

/** What restarts, as the relay and the operator decide it. */
export function describeEffect(
  name: { name: string; namespace: string },
  before: MailRelay['spec'],
  after: MailRelay['spec'],
): string {
  const [old, next] = [effectivePolicy(name, before), effectivePolicy(name, after)];
  const { listener, router } = planRestart(old, next);
  if (!isDeepStrictEqual(readTemplate(name, before), readTemplate(name, after)))
    return 'The pods are replaced one at a time, each with its queue.';
  if (listener && router) return 'Both tasks restart; no pod is replaced, and no connection is refused.';
  if (listener) return 'The listener task restarts; no pod is replaced, and no connection is refused.';
  if (router) return 'The router task restarts; the listener goes on taking mail.';
  return 'Nothing restarts.';
}

function readTemplate(name: { name: string; namespace: string }, spec: MailRelay['spec']): unknown {
  const set = renderRelay(name, spec).find(({ kind }) => kind === 'StatefulSet');
  return (set as unknown as { spec: { template: unknown } }).spec.template;
}

/** A text of several lines, such as a header, is written as JSON has it. */
function print(value: unknown): string {
  if (value === undefined) return '(not set)';
  return typeof value === 'string' && !/[\n\t]/.test(value) ? quoteWord(value) : JSON.stringify(value);
}
