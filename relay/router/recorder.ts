/** Who wants to know what becomes of mail: the history and the events, each only if the policy has it. */
import type { Policy } from '#crds/policyfile.ts';
import { encodeEvents } from '../events/encode.ts';
import type { History } from '../history/history.ts';
import type { MailRecorder } from '../queue/mailevent.ts';

/** Undefined if nobody does, so that the queue makes no events. */
export function makeRecorder(
  { queue, events }: Policy,
  history: () => History | undefined,
): MailRecorder | undefined {
  if (queue.historySeconds === null && events === null) return undefined;
  return {
    queued: (id, record) => history()?.queued(id, record),
    happened: (happened) => history()?.happened(happened),
    ...(events === null ? {} : { encode: encodeEvents }),
  };
}
