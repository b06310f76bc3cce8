/**
 * What the API server made of an object that was applied, where that is not what was wanted: an admission webhook has
 * rewritten it. An object that still is as it was answered is not applied again, which would change nothing and never
 * end; one that somebody has changed since is.
 */
import { hashContent } from '#crds/policyfile.ts';
import { isUpToDate } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';

export class Answers {
  /** By uid: the hashes of what was applied and of what came of it. */
  readonly #known = new Map<string, { readonly applied: string; readonly answer: string }>();

  note(wanted: Rendered, answer: KubeObject): void {
    const { uid = '' } = answer.metadata ?? {};
    if (uid === '' || isUpToDate(answer, wanted)) this.#known.delete(uid);
    else this.#known.set(uid, { applied: hashContent(wanted), answer: hashSpec(answer) });
  }

  /** True where applying it again would bring nothing. */
  stands(live: KubeObject, wanted: Rendered): boolean {
    if (isUpToDate(live, wanted)) return true;
    const known = this.#known.get(live.metadata.uid ?? '');
    return known !== undefined && known.applied === hashContent(wanted) && known.answer === hashSpec(live);
  }
}

/** Without what the server counts, and what others report. */
function hashSpec({ status: _, metadata, ...content }: KubeObject): string {
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return hashContent({ ...content, labels, annotations, ownerReferences });
}
