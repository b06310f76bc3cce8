/**
 * Whether the API server still has the wish that a look works for. The caches may be behind it by more than a minute, where a
 * watch is silent. So each write of a look waits for a read of its MailRelay that is seconds old at most: what it would make for
 * one that is gone would come anew as often as it goes, what it deletes does not come back, a relay that was just paused is left
 * alone, and what --cascade=orphan has left is not given its owner back, with which it would go. The status is told without that.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { read, type Writer } from './attempt.ts';
import { isPaused } from './installation.ts';
import type { Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { apiPath, MAIL_RELAY } from './kube/kinds.ts';

/** Where writes are slow a look lasts for minutes, and its MailRelay may be deleted meanwhile. */
const WORD_MS = 5_000;

/**
 * The writer of one look. It asks the API server before the first write, and again when its word is old. A write for a wish that
 * is another by now is outdated, which ends the look, and it is tried again.
 */
export function confirming(writer: Writer, relay: MailRelay, monotonic = () => performance.now()): Writer {
  let last: { readonly at: number; readonly word: Promise<void> } | undefined;
  return {
    paces: writer.paces,
    request: async <T>(request: Request) => {
      const now = monotonic();
      if (request.method !== 'GET') {
        if (!last || now - last.at > WORD_MS) last = { at: now, word: confirm(writer, relay) };
        await last.word;
      }
      return writer.request<T>(request);
    },
  };
}

async function confirm(writer: Writer, relay: MailRelay): Promise<void> {
  const { namespace, name } = relay.metadata;
  // Without a version in the query the API server does not answer from a memory that may be old too.
  const live = (await read(writer, apiPath(MAIL_RELAY, namespace, name))) as MailRelay | undefined;
  if (live && live.metadata.deletionTimestamp === undefined && isSameWish(relay, live)) return;
  throw new KubeError('outdated', 'the MailRelay is gone, or has changed, and no watch has told it yet');
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
