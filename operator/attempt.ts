/**
 * Single calls at the API server, each with its own pauses and its own failure: what one refuses or fails at is an obstacle,
 * and holds up no other. Throws what concerns more than one object, such as an API server that does not answer.
 */
import { pickContent } from './answers.ts';
import type { Client, KeptObject, KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { POD } from './kube/kinds.ts';
import { isPartial } from './kube/partial.ts';
import type { Paces } from './paces.ts';
import type { Obstacle } from './world.ts';

export interface Writer extends Pick<Client, 'request'> {
  /** Without this field a refused write is sent again at each look. */
  readonly paces?: Paces | undefined;
}

/**
 * Makes one of several writes that do not depend on each other. One that was refused is sent again after a pause, or with
 * another `basis`: what is written, and what it is written to (`contentOf`).
 */
export async function attempt(
  writer: Writer,
  object: string,
  basis: unknown,
  write: () => Promise<void>,
): Promise<Obstacle[]> {
  return caught(object, () => paced(writer, object, basis, write));
}

/** The same for an act that paces its steps itself. */
export async function caught(object: string, act: () => Promise<void>): Promise<Obstacle[]> {
  try {
    await act();
    return [];
  } catch (error) {
    return [toObstacle(object, error)];
  }
}

/** The same for a write on which all others depend: throws its refusal. */
export function paced<T>(
  { paces }: Writer,
  what: string,
  basis: unknown,
  write: () => Promise<T>,
): Promise<T> {
  return paces ? paces.pace(what, basis, write) : write();
}

/**
 * Reads the live object, before a write of this name with the basis [content, contentOf(live)]. One whose creation was
 * refused is not looked for until the pause is over.
 */
export function readFor(
  writer: Writer,
  what: string,
  content: unknown,
  path: string,
): Promise<KubeObject | undefined> {
  const look = () => read(writer, path);
  return writer.paces ? writer.paces.step(what, [content, contentOf(undefined)], look) : look();
}

/** The same for an object by which others are judged too. `basis`: what must change before one that was not there is read again. */
export function recall(
  writer: Writer,
  what: string,
  basis: unknown,
  look: () => Promise<KubeObject | undefined>,
): Promise<KubeObject | undefined> {
  return writer.paces ? writer.paces.recall(what, basis, look) : look();
}

/** All of a live object that decides whether a write to it succeeds. Of some objects the caches have not all content. */
export function contentOf(live: KeptObject | undefined): unknown {
  if (!live) return 'absent';
  const isWhole = !isPartial(live) && live.kind !== POD.kind;
  return isWhole ? pickContent(live as KubeObject) : live.metadata.resourceVersion;
}

/** The obstacle that a failed write means for the relay. Throws an error that does not concern this object alone. */
function toObstacle(object: string, error: unknown): Obstacle {
  if (isKubeError(error, 'forbidden', 'invalid', 'undone'))
    return { kind: 'denied', object, message: error.message };
  if (isKubeError(error, 'failed')) return { kind: 'failed', object, error };
  throw error;
}

export async function read(writer: Writer, path: string): Promise<KubeObject | undefined> {
  try {
    return await writer.request<KubeObject>({ method: 'GET', path });
  } catch (error) {
    if (isKubeError(error, 'notFound')) return undefined;
    throw error;
  }
}
