/**
 * Remembers how the API server answered an apply when the answer differs from the wanted object, because an admission
 * webhook rewrote it. As long as the live object equals that answer it is not applied again: that would change nothing
 * and never end. An object that somebody has changed since is applied again. An answer that is old is asked for again,
 * because the webhook may be gone by now. A webhook that answers in a new way each time is asked less and less often.
 */
import { hashContent } from '#crds/policyfile.ts';
import { isUpToDate } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';

const STANDS_MS = 10 * 60_000;
/** Each new answer may replace the pods. */
const STANDS_AT_MOST_MS = 24 * 60 * 60_000;

interface Answer {
  /** The hash of the object that was applied. */
  readonly applied: string;
  /** The hash of the answer. */
  readonly answer: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly standsMs: number;
}

export class Answers {
  /** By uid. */
  readonly #known = new Map<string, Answer>();

  note(wanted: Rendered, answer: KubeObject, now: number): void {
    const { uid = '' } = answer.metadata ?? {};
    if (uid === '' || isUpToDate(answer, wanted)) {
      this.#known.delete(uid);
      return;
    }
    const [applied, hash] = [hashContent(wanted), hashSpec(answer)];
    const before = this.#known.get(uid);
    const isFickle = before?.applied === applied && before.answer !== hash;
    const standsMs = isFickle ? Math.min(before.standsMs * 2, STANDS_AT_MOST_MS) : STANDS_MS;
    this.#known.set(uid, { applied, answer: hash, at: now, standsMs });
  }

  /** True if another apply of the object would change nothing, as far as is known. */
  stands(live: KubeObject, wanted: Rendered, now: number): boolean {
    const { uid = '' } = live.metadata;
    if (isUpToDate(live, wanted)) {
      this.#known.delete(uid);
      return true;
    }
    const known = this.#known.get(uid);
    return (
      known !== undefined &&
      known.applied === hashContent(wanted) &&
      known.answer === hashSpec(live) &&
      remainingMs(known, now) > 0
    );
  }

  /** Milliseconds until the first of the answers for these objects is old; undefined if none is remembered. */
  lookAgainMs(objects: Iterable<KubeObject>, now: number): number | undefined {
    const pauses = [...objects].flatMap(({ metadata }) => {
      const known = this.#known.get(metadata.uid ?? '');
      if (!known) return [];
      const ms = remainingMs(known, now);
      // This look could not apply the object. There is no haste.
      return [ms > 0 ? ms : STANDS_MS];
    });
    return pauses.length > 0 ? Math.min(...pauses) : undefined;
  }
}

/** Not above the time that the answer stands, also after the clock was set back. */
function remainingMs({ at, standsMs }: Answer, now: number): number {
  return Math.min(at + standsMs - now, standsMs);
}

const hashSpec = (object: KubeObject) => hashContent(pickContent(object));

/** Without fields that the server counts up, and the status that others report. */
export function pickContent({ status: _, metadata, ...content }: KubeObject): object {
  const { uid, labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return { ...content, uid, labels, annotations, ownerReferences };
}
