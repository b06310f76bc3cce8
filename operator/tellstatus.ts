/**
 * Writes the status of a MailRelay, and the events that it means: once each, and only if it differs. Also after a look that
 * failed by a fault of ours. A status that comes back otherwise, because a webhook or an older CRD changes it, stands like any
 * such answer.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { hashContent } from '#crds/policyfile.ts';
import { fitStatus, type MailRelayStatus } from '#crds/status.ts';
import { FIELD_MANAGER } from '#crds/wellknown.ts';
import { Answers } from './answers.ts';
import type { OnWrite } from './apply.ts';
import { paced, type Writer } from './attempt.ts';
import { stamped } from './compare.ts';
import { isPaused } from './installation.ts';
import type { KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import type { RelayEvent } from './kube/events.ts';
import { apiPath, MAIL_RELAY } from './kube/kinds.ts';
import type { Rendered } from './render/rendered.ts';
import { listEvents } from './report/events.ts';
import { withFault } from './report/status.ts';
import { ToldCauses } from './toldcauses.ts';

/** What the write of the status is called where its refusals are known. */
export const STATUS = 'status';

export interface Reporting {
  readonly writer: Writer;
  /** Without this field the causes that were told are not remembered. */
  readonly causes?: ToldCauses;
  /** Without this field the answers of the API server are not remembered. */
  readonly answers?: Answers;
  readonly onWrite: OnWrite;
  readonly tell: (relay: MailRelay, event: RelayEvent) => Promise<void>;
}

/**
 * Runs a look. A fault of ours, such as an object of a form that nobody has thought of, would leave the status as it was, for
 * ever and green. So the status tells it. What the API server refuses or fails at is told elsewhere.
 */
export async function withFaultsTold<T>(
  relay: MailRelay,
  now: number,
  deps: Reporting,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!isKubeError(error) && !isPaused(relay)) {
      const { name, message } = error as Error;
      // The fault itself is thrown on, and the log has it.
      const told = { status: withFault(relay, `${name}: ${message}`, now), isReplaced: false, now };
      await tellStatus(relay, told, deps).catch(() => undefined);
    }
    throw error;
  }
}

interface Told {
  readonly status: MailRelayStatus;
  readonly isReplaced: boolean;
  readonly now: number;
}

/** Writes a status that differs, and tells the events that it means. */
export async function tellStatus(
  relay: MailRelay,
  { status: rendered, isReplaced, now }: Told,
  { writer, answers = new Answers(), causes = new ToldCauses(), tell, onWrite }: Reporting,
): Promise<void> {
  const status = fitStatus(rendered);
  if (hashContent(status) === hashContent(relay.status ?? {})) return;
  if (answers.stands(seenAs(relay, relay.status), wantedAs(relay, status), now)) return;
  const basis = [status, relay.metadata.resourceVersion];
  const answer = await paced(writer, STATUS, basis, () => writeStatus(writer, relay, status));
  answers.note(wantedAs(relay, status), seenAs(relay, answer.status), now);
  onWrite('patched', `MailRelay/${relay.metadata.name} status`);
  const events = listEvents(relay.status, status, isReplaced);
  const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
  for (const event of causes.pick(key, status, events)) await tell(relay, event);
}

/**
 * The status alone, as an object whose answers are remembered. Without the times of transitions: one that somebody changes at
 * each write is told with the present time at each look.
 */
function wantedAs({ metadata: { name, namespace } }: MailRelay, status: MailRelayStatus = {}): Rendered {
  const { apiVersion, kind } = MAIL_RELAY;
  const conditions = status.conditions?.map(({ lastTransitionTime: _, ...condition }) => condition);
  const told = { ...status, ...(conditions ? { conditions } : {}) };
  return { apiVersion, kind, metadata: { name, namespace, labels: {}, ownerReferences: [] }, told };
}

function seenAs(relay: MailRelay, told: MailRelayStatus | undefined): KubeObject {
  const object = stamped(wantedAs(relay, told));
  return { ...object, metadata: { ...object.metadata, uid: `${STATUS} of ${relay.metadata.uid}` } };
}

async function writeStatus(
  writer: Writer,
  relay: MailRelay,
  status: MailRelayStatus,
): Promise<Pick<MailRelay, 'status'>> {
  const { name, namespace, uid } = relay.metadata;
  return writer.request({
    method: 'PATCH',
    path: `${apiPath(MAIL_RELAY, namespace, name)}/status`,
    query: { fieldManager: FIELD_MANAGER, force: 'true' },
    contentType: 'application/apply-patch+yaml',
    // With the uid the API server refuses the write if a new object has the same name.
    body: {
      apiVersion: relay.apiVersion ?? MAIL_RELAY.apiVersion,
      kind: MAIL_RELAY.kind,
      metadata: { name, namespace, uid },
      status,
    },
  });
}
