/**
 * Objects of which the caches keep only a part. The absence of a field in them says nothing. So what comes out of the caches is
 * a KeptObject, whose content cannot be read, and only these functions make a KubeObject of it. Pure.
 */
import type { KeptObject, KubeObject } from './client.ts';
import { CERTIFICATE } from './kinds.ts';

/** True if some of the content of the object is not kept. */
export function isPartial(object: KeptObject): boolean {
  return (object as KubeObject)['isPartial'] === true;
}

/** True if all of the object is kept that is judged. Of a Certificate that a roll-over left that is its Secret and its key. */
export function isKnown(object: KeptObject): object is KubeObject {
  return !isPartial(object) || (object.kind === CERTIFICATE.kind && 'spec' in object);
}

interface Separated {
  readonly known: ReadonlyMap<string, KubeObject>;
  /** Of these the metadata is known. */
  readonly partial: ReadonlyMap<string, KeptObject>;
}

export function separatePartial(objects: ReadonlyMap<string, KeptObject>): Separated {
  const partial = [...objects].filter(([, object]) => !isKnown(object));
  // Most often there are none, and nothing is copied.
  if (partial.length === 0) return { known: objects as Separated['known'], partial: new Map() };
  const known = [...objects].flatMap(([name, object]) => (isKnown(object) ? [[name, object] as const] : []));
  return { known: new Map(known), partial: new Map(partial) };
}
