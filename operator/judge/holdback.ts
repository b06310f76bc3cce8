/**
 * What waits while a write is refused on which other writes depend. Everything else goes on.
 *
 * Labels of pods or claims by which the caches find them: scaling in, because a queue that is not seen could be lost, and
 * another size of the volumes, because a claim that is not seen would keep its own. The label by which pods are served: what
 * selects by it, and scaling in, because a pod that is told to leave must get no clients. The mark of a claim that is wanted
 * again: its place and those above it, because a pod that takes mail onto a marked claim could lose it. Pure.
 */
import { parseOrdinal, parseScale, printScale, SCALE_FILE_NAME, type Scale } from '#crds/scalefile.ts';
import { SERVING_LABEL } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { STATEFUL_SET } from '../kube/kinds.ts';
import { objectNames } from '../render/metadata.ts';
import type { Rendered } from '../render/rendered.ts';
import type { World } from '../world.ts';
import { countPlaces, isRead } from './allseen.ts';
import type { Scaling } from './scaling.ts';
import { keepClaims, type StatefulSetSpec } from './storage.ts';

type Observed = Pick<World, 'relay' | 'objects' | 'lacking'>;

/** True for what could not be written. */
export interface Refused {
  /** The labels of a pod or claim that the caches do not know. */
  readonly labels: boolean;
  /** The places that hidden claims need, where there is no StatefulSet. */
  readonly places?: number;
  readonly serving: boolean;
  /** The names of the claims that keep their marks. */
  readonly marks: readonly string[];
}

/** The same plan without a pod or a claim less than there is, or without a pod on a marked claim that is not there yet. */
export function holdScaling(
  world: Pick<World, 'relay' | 'objects' | 'pods' | 'leaving'>,
  scaling: Scaling,
  { labels, places: hidden = 0, serving, marks }: Refused,
): Scaling {
  const places = Math.max(hidden, countKept(world));
  const isLess = labels || serving;
  const replicas = isLess ? Math.max(scaling.replicas, places) : scaling.replicas;
  return {
    ...scaling,
    replicas: upToMarked(replicas, places, marks),
    removed: isLess ? [] : scaling.removed,
  };
}

/** Those of the StatefulSet. While that is made anew, its pods run on, and each up to the last one has its place. */
function countKept({ relay, objects, pods, leaving }: Parameters<typeof holdScaling>[0]): number {
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  if (set) return countPlaces(set);
  const there = [...pods, ...leaving].filter(({ deleting }) => !deleting);
  return Math.max(0, ...there.map(({ name }) => parseOrdinal(name) + 1));
}

/** No more than those that are there and those below the first claim that keeps its mark. */
const upToMarked = (wanted: number, there: number, marks: readonly string[]) =>
  Math.min(wanted, Math.max(there, Math.min(...marks.map(parseOrdinal))));

/** The same object with the claims that it has, and without an order to leave or to stay for pods that must not get it. */
export function holdObject({ relay, objects }: Observed, wanted: Rendered, refused: Refused): Rendered {
  const live = objects.get(`${wanted.kind}/${wanted.metadata.name}`);
  if (!live) return wanted;
  if (wanted.kind === STATEFUL_SET.kind)
    return refused.labels && hasClaims(live) ? keepClaims(live, wanted) : wanted;
  if (!isPolicy(relay, wanted)) return wanted;
  const file = (live['data'] as Record<string, string> | undefined)?.[SCALE_FILE_NAME] ?? '';
  const told = parseScale(file);
  const more = (told?.replicas ?? relay.spec.replicas) - relay.spec.replicas;
  if (more > 0 && (refused.labels || refused.serving)) return withScale(wanted, file);
  return told && more < 0 && refused.marks.length > 0
    ? withScale(wanted, upTo(wanted, told, refused))
    : wanted;
}

/**
 * More pods are told to stay, but none on a marked claim. The order keeps its name: the word of a pod on it must prove
 * nothing when that pod is told to stay by the next one.
 */
function upTo(wanted: Rendered, told: Scale, { marks }: Refused): string {
  const { replicas, siblings } = parseScale(readScale(wanted)) ?? told;
  const count = upToMarked(replicas, told.replicas, marks);
  return printScale(count, siblings.slice(0, count), told.order);
}

const readScale = ({ data }: Rendered) => (data as Record<string, string>)[SCALE_FILE_NAME] ?? '';

const withScale = (wanted: Rendered, file: string): Rendered => ({
  ...wanted,
  data: { ...(wanted['data'] as object), [SCALE_FILE_NAME]: file },
});

/**
 * True for an object that stays as it is: it could not be read, or would select pods by a label that they lack, or would tell
 * marked ones to stay. A StatefulSet with places for hidden claims above a marked one is not made: with fewer places the hidden
 * claims would be lost sight of.
 */
export function isLeft(world: Observed, wanted: Rendered, { places = 0, serving, marks }: Refused): boolean {
  const { relay, objects } = world;
  if (!isRead(world, `${wanted.kind}/${wanted.metadata.name}`)) return true;
  const isThere = objects.has(`${wanted.kind}/${wanted.metadata.name}`);
  const { selector = {} } = (wanted['spec'] ?? {}) as { selector?: object };
  const isSet = wanted.kind === STATEFUL_SET.kind;
  const selects = !isSet && JSON.stringify(selector).includes(SERVING_LABEL);
  const brings = isSet ? places > 0 : isPolicy(relay, wanted);
  return (serving && isThere && selects) || (marks.length > 0 && !isThere && brings);
}

const isPolicy = ({ metadata }: World['relay'], wanted: Rendered) =>
  wanted.kind === 'ConfigMap' && wanted.metadata.name === objectNames.policy(metadata.name);

function hasClaims({ spec }: KubeObject): boolean {
  return (spec as Partial<StatefulSetSpec> | undefined)?.volumeClaimTemplates !== undefined;
}
