/**
 * The checks of pods that refuse the policy. A pod of an older version refuses a policy with a newer field. That ends
 * when the pod is replaced, so only the refusal of a pod that stays needs a person. Pure.
 */
import type { PodView, World } from '../world.ts';
import { podsWithPolicy } from './checks.ts';
import { type Check, is, type Judged, reported } from './finding.ts';

/** The StatefulSet controller writes the revision of the template onto each pod. */
export const REVISION_LABEL = 'controller-revision-hash';

/** A pod that stays could not start the policy. */
export const policyRefusedForGood: Check = (world) => {
  const pod = listWithout(world).find(({ name }) => !isReplacedLater(world, name));
  return pod && is('True', 'PolicyRefused', refusalText(pod));
};

export const policyRefused: Check = (world) => {
  const [pod] = listRefusing(world);
  return pod && is('False', 'PolicyRefused', refusalText(pod));
};

export const rolloutWaits: Check = (world) => {
  if (!waitsForTurn(world)) return undefined;
  const [pod] = listWithout(world);
  const text = 'New pods wait for their turn: a few relays are replaced at a time';
  return is('True', 'RolloutWaits', pod ? `${text}. ${refusalText(pod)}` : text);
};

export const policyRefusedForNow: Check = (world) => {
  const [pod] = listWithout(world);
  return pod && is('True', 'RollingOut', `Pods are replaced. ${refusalText(pod)}`);
};

function listRefusing(world: World): PodView[] {
  return reported(world).filter(({ report }) => report?.policy.refused);
}

/** Without those that have the wanted policy in force. They take no change now, but mail flows as it says. */
function listWithout(world: Judged): PodView[] {
  const served = podsWithPolicy(world);
  return listRefusing(world).filter((pod) => !served.includes(pod));
}

function refusalText({ name, report }: PodView): string {
  const refused = report?.policy.refused;
  return `Pod ${name} ${refused?.hash == null ? 'takes no change' : 'refused the policy'}: ${refused?.message}`;
}

function waitsForTurn({ obstacles }: Judged): boolean {
  return obstacles.some(({ kind }) => kind === 'waitsForTurn');
}

/** True if another pod comes in its place, of the template that the StatefulSet has or will have. */
function isReplacedLater(world: Judged, pod: string): boolean {
  if (waitsForTurn(world)) return true;
  const { relay, objects } = world;
  const set = objects.get(`StatefulSet/${relay.metadata.name}`);
  if (!set) return false;
  const { observedGeneration, updateRevision } = (set['status'] ?? {}) as {
    observedGeneration?: number;
    updateRevision?: string;
  };
  if (observedGeneration !== set.metadata.generation) return true;
  const revision = objects.get(`Pod/${pod}`)?.metadata.labels?.[REVISION_LABEL];
  return revision !== undefined && updateRevision !== undefined && revision !== updateRevision;
}
