/** Who wants to know what becomes of mail: the history, the events and the suppression, each only if the policy has it. */
import type { Policy } from '#crds/policyfile.ts';
import { encodeEvents } from '../events/encode.ts';
import type { History } from '../history/history.ts';
import type { MailRecorder } from '../queue/mailevent.ts';
import type { SuppressionList } from '../suppression/suppressionlist.ts';

/** Undefined if nobody does, so that the queue makes no events. */
export function makeRecorder(
  { queue, events }: Policy,
  parts: () => { readonly history: History | undefined; readonly suppression: SuppressionList | undefined },
): MailRecorder | undefined {
  const { historySeconds, suppression } = queue;
  if (historySeconds === null && suppression === null && events === null) return undefined;
  return {
    queued: (id, record) => parts().history?.queued(id, record),
    happened: (happened) => {
      parts().history?.happened(happened);
      parts().suppression?.learn(happened);
    },
    ...(events === null ? {} : { encode: encodeEvents }),
  };
}
