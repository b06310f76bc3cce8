/**
 * The queues that nobody has told of: the pod is gone, does not run or does not answer, and its disk may have mail.
 * What the other pods report says nothing about it. A place that no pod has used yet has no queue. Pure.
 */
import type { PodView, World } from '../world.ts';
import { type Check, is, reported } from './finding.ts';
import { isUnbound, listPlaces, mayHaveMail, type Place } from './place.ts';
import { isReplacing, policyUnseen, unreachableText } from './pods.ts';
import { listed, verb } from './words.ts';

interface Unseen {
  /** Of the pod, whether it is there or not. */
  readonly name: string;
  readonly pod: PodView | undefined;
  readonly leaves: boolean;
}

export const queueUnseen: Check = (world) => {
  const { replicas } = world.relay.spec;
  const unseen = listUnseen(world);
  const isToldOf = replicas === 0 || reported(world).length > 0;
  if (isToldOf && (unseen.length === 0 || isNormalRollout(world, unseen))) return undefined;
  const silent = unseen.flatMap(({ pod }) => (pod?.ready && !pod.deleting ? [pod] : []));
  if (silent.length > 0) return is('Unknown', 'PodsUnreachable', unreachableText(silent));
  if (isToldOf) return is('Unknown', 'PodsNotReady', describe(unseen));
  return policyUnseen(world) ?? is('Unknown', 'PodsNotReady', 'No pod has told what is in its queue yet');
};

function listUnseen(world: World): Unseen[] {
  const { metadata, spec } = world.relay;
  return listPlaces(world)
    .filter((place) => isUnseen(place, world.relay))
    .map(({ ordinal, pod }) => ({
      name: `${metadata.name}-${ordinal}`,
      pod,
      leaves: ordinal >= spec.replicas,
    }));
}

/** True if the pod has not reported, and its claim or the pod itself may have mail. */
function isUnseen(place: Place, relay: World['relay']): boolean {
  const { pod, claim } = place;
  if (pod?.report) return false;
  return claim ? !isUnbound(claim) && mayHaveMail(place, relay) : pod?.hasRun === true;
}

/**
 * True while the StatefulSet replaces its pods, if the queues were well before and nothing keeps a pod that is away. A
 * queue that was not well does not become so because its pod is replaced.
 */
function isNormalRollout(world: World, unseen: readonly Unseen[]): boolean {
  const before = world.relay.status?.conditions?.find(({ type }) => type === 'QueueHealthy');
  return (
    isReplacing(world) &&
    before?.status === 'True' &&
    unseen.every(({ pod, leaves }) => !leaves && !pod?.trouble && !pod?.ready)
  );
}

function describe(unseen: readonly Unseen[]): string {
  const count = unseen.length;
  const [troubled] = unseen.flatMap(({ name, pod }) =>
    pod?.trouble ? [`: pod ${name}: ${pod.trouble.message}`] : [],
  );
  const queues = `The ${verb(count, 'queue', 'queues')} of ${listed(unseen.map(({ name }) => name))}`;
  const cure = `let ${verb(count, 'the pod', 'the pods')} run again, mail may wait on ${verb(count, 'its disk', 'their disks')}`;
  return `${queues} ${verb(count, 'is', 'are')} not known${troubled ?? ''}: ${cure}`;
}
