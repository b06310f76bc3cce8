/**
 * The conditions of a MailRelay in one line, for the columns of kubectl: the types that are not as they should be, and
 * the message of each cause. Pure.
 */
import type { ReasonName } from '#crds/conditions.ts';
import { IN_PROGRESS } from '#crds/events.ts';
import type { Condition, MailRelayStatus } from '#crds/status.ts';

export function summarize(conditions: readonly Condition[]): Pick<MailRelayStatus, 'problems' | 'message'> {
  const notable = conditions.filter((condition) => !isWell(condition));
  const types = notable.filter((one) => one.type !== 'Reconciling' || !isStep(one)).map(({ type }) => type);
  const shown = conditions.find(({ type }) => type === 'Ready')?.reason;
  // kubectl shows the reason of Ready in a column of its own.
  const messages = listCauses(conditions, notable).map(({ reason, message }) =>
    reason === shown ? message : `${reason}: ${message}`,
  );
  return {
    ...(types.length > 0 ? { problems: types.join(',') } : {}),
    ...(messages.length > 0 ? { message: messages.join('; also ') } : {}),
  };
}

/** One condition for each cause. What is in progress counts if there is nothing else, and Ready if all is well. */
function listCauses(conditions: readonly Condition[], notable: readonly Condition[]): readonly Condition[] {
  const lists = [
    notable.filter((condition) => !isStep(condition)),
    notable,
    conditions.filter(({ type }) => type === 'Ready'),
  ];
  return onePerReason(lists.find((list) => list.length > 0) ?? []);
}

function onePerReason(conditions: readonly Condition[]): Condition[] {
  return conditions.filter(
    ({ reason }, index) => conditions.findIndex((other) => other.reason === reason) === index,
  );
}

function isWell({ type, status }: Condition): boolean {
  return type === 'Reconciling' || type === 'Stalled' ? status !== 'True' : status === 'True';
}

/** True for a step of a start or rollout. An unknown queue is one: the other conditions say why pods are not ready. */
function isStep({ type, reason }: Condition): boolean {
  return IN_PROGRESS.has(reason as ReasonName) || (type === 'QueueHealthy' && reason === 'PodsNotReady');
}
