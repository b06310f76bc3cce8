/**
 * Tells the status that this process wrote from news. The watch reports it like any change. Taken for a change it would
 * end the pause after a failure, and a refusal in new words each time would be written and tried again without end.
 */
import { isDeepStrictEqual } from 'node:util';
import { hashContent } from '#crds/policyfile.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from './kube/client.ts';

export class OwnStatuses {
  /** The hash of the status that was written last, by uid of the MailRelay. */
  readonly #written = new Map<string, string>();

  /** Call this before the write, because the watch may be faster than the answer. */
  note({ metadata: { uid = '' }, status = {} }: KubeObject): void {
    this.#written.set(uid, hashContent(status));
  }

  /**
   * True if all that changed are conditions, as this process wrote them, and what sums them up. The rest of a status is
   * news, because other looks read it.
   */
  isEcho(before: KubeObject | undefined, after: KubeObject | undefined): boolean {
    if (!after) this.#written.delete(before?.metadata.uid ?? '');
    if (!before || !after) return false;
    const written = this.#written.get(after.metadata.uid ?? '');
    return written === hashContent(after['status'] ?? {}) && isDeepStrictEqual(read(before), read(after));
  }
}

/** What a look at the MailRelay reads, without the conditions. */
function read({ metadata, status }: KubeObject) {
  const { uid, generation, labels, annotations, deletionTimestamp } = metadata;
  const { conditions: _, problems: __, message: ___, ...rest } = (status ?? {}) as Partial<MailRelayStatus>;
  return { uid, generation, labels, annotations, deletionTimestamp, rest };
}
