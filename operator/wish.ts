/**
 * Whether the API server still has the wish that a look works for. The caches may be behind it by more than a minute, where a
 * watch is silent. So what a look creates, adopts or deletes waits for a read of the MailRelay: what it would create for one
 * that is gone would come anew as often as it goes, and what it deletes does not come back. All other writes ask nothing, because
 * they are many: they name the uid or the version of an object that is there. So two are not covered: an update for a relay that was
 * just paused, and, where the watch of the object is silent too, one that gives what --cascade=orphan has left its owner back, which
 * has it deleted.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { read, type Writer } from './attempt.ts';
import { isPaused } from './installation.ts';
import { KubeError } from './kube/errors.ts';
import { apiPath, MAIL_RELAY } from './kube/kinds.ts';

/** Throws a conflict if the wish is another one by now. Then the whole look is tried again. */
export type Confirm = () => Promise<void>;

/** Where writes are slow a look lasts for minutes, and its MailRelay may be deleted meanwhile. */
const WORD_MS = 5_000;

/** Asks the API server at the first call of the look, and again when its word is old. */
export function confirming(writer: Writer, relay: MailRelay, monotonic = () => performance.now()): Confirm {
  let last: { readonly at: number; readonly word: Promise<void> } | undefined;
  return () => {
    const now = monotonic();
    if (!last || now - last.at > WORD_MS) last = { at: now, word: confirm(writer, relay) };
    return last.word;
  };
}

async function confirm(writer: Writer, relay: MailRelay): Promise<void> {
  const { namespace, name } = relay.metadata;
  // Without a version in the query the API server does not answer from a memory that may be old too.
  const live = (await read(writer, apiPath(MAIL_RELAY, namespace, name))) as MailRelay | undefined;
  if (live && live.metadata.deletionTimestamp === undefined && isSameWish(relay, live)) return;
  throw new KubeError('conflict', 'the MailRelay is gone, or has changed, and no watch has told it yet');
}

/** False for another MailRelay of the name, and if what people wish has changed, or who looks after it. The change begins another look. */
export function isSameWish(relay: MailRelay, now: MailRelay | undefined): boolean {
  return (
    now?.metadata.uid === relay.metadata.uid &&
    now.metadata.generation === relay.metadata.generation &&
    isPaused(now) === isPaused(relay) &&
    now.metadata.annotations?.[ANNOTATIONS.installation] ===
      relay.metadata.annotations?.[ANNOTATIONS.installation] &&
    now.status?.installation === relay.status?.installation
  );
}
