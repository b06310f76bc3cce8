/**
 * The events between two statuses of a MailRelay: one event for each transition and each cause, with the new value. Pure.
 */
import type { ReasonName } from '#crds/conditions.ts';
import {
  CAUSE_IN_MESSAGE,
  type CHANGE_EVENTS,
  SAME_CAUSE,
  TOLD_TRANSITIONS,
  WITHOUT_EVENT,
} from '#crds/events.ts';
import type { Condition, MailRelayStatus } from '#crds/status.ts';
import { counted, onEvery, verb } from '../judge/words.ts';
import type { RelayEvent } from '../kube/events.ts';

/** `isReplacing`: pods are started or replaced as wanted, so it is no news that some are not ready. */
export function listEvents(
  before: MailRelayStatus | undefined,
  after: MailRelayStatus,
  isReplacing = false,
): RelayEvent[] {
  const isStep = isReplacing || before?.observedGeneration !== after.observedGeneration;
  const isExpected = isStep && findCondition(after, 'Ready')?.reason === 'PodsNotReady';
  const told = TOLD_TRANSITIONS.filter(({ condition }) => !(isExpected && condition === 'Ready'));
  return [
    ...policyEvents(before, after),
    ...certificateEvents(before, after),
    ...tlsReportsEvents(before, after),
    ...onePerCause(told.flatMap((one) => transitions(before, after, one))),
  ];
}

/** One cause can show in several conditions. It makes one event. */
function onePerCause(events: readonly RelayEvent[]): RelayEvent[] {
  return events.filter(({ reason }, index) => events.findIndex((other) => other.reason === reason) === index);
}

type ChangeEvent = RelayEvent & { readonly reason: keyof typeof CHANGE_EVENTS };

function policyEvents(before: MailRelayStatus | undefined, after: MailRelayStatus): ChangeEvent[] {
  const inForce = (status: MailRelayStatus | undefined) =>
    findCondition(status, 'PolicyApplied')?.status === 'True' ? status?.policy?.hash : undefined;
  const hash = inForce(after);
  if (hash === undefined || hash === inForce(before)) return [];
  const open = after.policy?.oldSessions ?? 0;
  const rest =
    open > 0
      ? `; ${counted(open, 'session')} of the policy before ${verb(open, 'is', 'are')} open, until ${after.policy?.oldSessionsEnd} at the latest`
      : '';
  const note = `Policy ${hash} is in force ${onEvery(after.policy?.podsServing ?? 0, 'pod')}${rest}`;
  return [{ type: 'Normal', reason: 'PolicyChanged', note }];
}

function certificateEvents(before: MailRelayStatus | undefined, after: MailRelayStatus): ChangeEvent[] {
  const served = (status: MailRelayStatus | undefined) =>
    findCondition(status, 'CertificateReady')?.status === 'True' ? status?.certificate?.serial : undefined;
  const serial = served(after);
  if (serial === undefined || serial === served(before)) return [];
  return [
    {
      type: 'Normal',
      reason: 'CertificateLoaded',
      note: `Every pod serves ${serial}, valid until ${after.certificate?.notAfter}`,
    },
  ];
}

function tlsReportsEvents(before: MailRelayStatus | undefined, after: MailRelayStatus): ChangeEvent[] {
  const { day, reports = 0, discarded = 0, successes = 0, failures = 0 } = after.tlsReports ?? {};
  if (day === undefined || day === before?.tlsReports?.day) return [];
  const told = `${counted(reports, 'report')} ${verb(reports, 'tells', 'tell')} of ${counted(successes, 'good session')} and ${failures} failed ${verb(failures, 'one', 'ones')}`;
  const rest =
    discarded > 0 ? `, ${counted(discarded, 'mail')} ${verb(discarded, 'was', 'were')} no report` : '';
  const note = `TLS reports of ${day}: ${told}${rest}: see "mailrelay tlsrpt received"`;
  return [{ type: 'Normal', reason: 'TlsReportsReceived', note }];
}

/** An event if a condition changes to `status`, or changes its reason or cause while it has this status. */
function transitions(
  before: MailRelayStatus | undefined,
  after: MailRelayStatus,
  { condition, status, event }: (typeof TOLD_TRANSITIONS)[number],
): RelayEvent[] {
  const [old, now] = [findCondition(before, condition), findCondition(after, condition)];
  if (now?.status !== status || WITHOUT_EVENT.has(now.reason as ReasonName)) return [];
  const cause = findCause(now);
  const isOld = old?.status === status && old.reason === now.reason;
  if (isOld && (cause === undefined || cause === findCause(old))) return [];
  // Another condition had this reason and cause before, so the event was written then.
  const wasTold = before?.conditions?.some(
    (one) =>
      one.reason === now.reason &&
      (cause === undefined ? one.message === now.message : findCause(one) === cause),
  );
  return wasTold ? [] : [{ type: event, reason: now.reason, note: now.message }];
}

/** The reason and the cause of an event; undefined if its reason has only one cause. */
export function nameCause({ reason, note }: Pick<RelayEvent, 'reason' | 'note'>): string | undefined {
  if (CAUSE_IN_MESSAGE[reason as ReasonName] === undefined) return undefined;
  return `${reason} ${findCause({ reason, message: note }) ?? ''}`;
}

/** Undefined where the reason says all, or the message names no cause. */
function findCause({ reason, message }: Pick<Condition, 'reason' | 'message'>): string | undefined {
  const word = CAUSE_IN_MESSAGE[reason as ReasonName]?.exec(message)?.[1]?.trim();
  return SAME_CAUSE.find((words) => word !== undefined && words.includes(word))?.[0] ?? word;
}

function findCondition(status: MailRelayStatus | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}
