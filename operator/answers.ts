/**
 * Remembers how the API server answered an apply when the answer differs from the wanted object, because an admission
 * webhook rewrote it. As long as the live object equals that answer it is not applied again: that would change nothing
 * and never end. An object that somebody has changed since is applied again.
 */
import { hashContent } from '#crds/policyfile.ts';
import { isUpToDate } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';

export class Answers {
  /** By uid: the hash of the object that was applied, and the hash of the answer. */
  readonly #known = new Map<string, { readonly applied: string; readonly answer: string }>();

  note(wanted: Rendered, answer: KubeObject): void {
    const { uid = '' } = answer.metadata ?? {};
    if (uid === '' || isUpToDate(answer, wanted)) this.#known.delete(uid);
    else this.#known.set(uid, { applied: hashContent(wanted), answer: hashSpec(answer) });
  }

  /** True if another apply of the object would change nothing. */
  stands(live: KubeObject, wanted: Rendered): boolean {
    if (isUpToDate(live, wanted)) return true;
    const known = this.#known.get(live.metadata.uid ?? '');
    return known !== undefined && known.applied === hashContent(wanted) && known.answer === hashSpec(live);
  }
}

/** The hash leaves out fields that the server counts up, and the status that others report. */
function hashSpec({ status: _, metadata, ...content }: KubeObject): string {
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return hashContent({ ...content, labels, annotations, ownerReferences });
}
