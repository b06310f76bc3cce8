/**
 * Builds the status of a relay from the values of its parts. Pure: the time is an argument. The reasons for "not ready"
 * are sentences for people.
 */
import { listenerNeedsKeyPair } from '#crds/effective.ts';
import { fieldsNotInForce } from '#crds/notinforce.ts';
import type { PodIdentity, PodStatus, PublishedDkimKey } from '#crds/podstatus.ts';
import { hashContent, type Policy } from '#crds/policyfile.ts';
import { summarizePolicy } from '#crds/policysummary.ts';
import type { ListenerReports, QueueFigures } from '../task/messages.ts';
import type { CertificateStatus } from './certificates.ts';
import type { PlaintextSenders } from './plaintext.ts';

export interface Known {
  readonly version: string;
  readonly identity: PodIdentity | undefined;
  readonly stopping: boolean;
  /** True if an evacuation is announced or under way. */
  readonly evacuating: boolean;
  readonly evacuation: PodStatus['evacuation'];
  /** The order of the scale file that the pod follows. */
  readonly order: string | undefined;
  readonly policy: Policy | undefined;
  readonly refused: PodStatus['policy']['refused'];
  readonly certificates: CertificateStatus;
  readonly listeners: {
    readonly isReady: boolean;
    readonly starts: number;
    readonly openSessions: number;
    readonly oldSessions: number;
    readonly oldSessionsEnd: number | null;
    readonly reports: ListenerReports;
  };
  readonly router: { readonly isReady: boolean; readonly starts: number };
  readonly servedPolicy: PodStatus['servedPolicy'];
  /** Sentences about processes without a heartbeat. */
  readonly late: readonly string[];
  readonly missing: readonly string[];
  readonly dkimKeys: readonly PublishedDkimKey[];
  readonly refusals: NonNullable<PodStatus['sessions']['refusals']>;
  readonly plaintext: {
    readonly taken: PlaintextSenders;
    readonly refused: PlaintextSenders;
  };
  readonly sessionCounts: { readonly tls: number; readonly plaintext: number };
  readonly outbound: NonNullable<PodStatus['outbound']>;
  readonly queue: QueueFigures;
  readonly now: Date;
}

export function describePod(known: Known): Omit<PodStatus, 'revision'> {
  const { policy, certificates, listeners, router } = known;
  const notReady = whyNotReady(known);
  return {
    format: 1,
    version: known.version,
    ...(known.identity ? { identity: known.identity } : {}),
    ready: notReady.length === 0,
    notReady,
    policy: describePolicy(known),
    notInForce: policy ? fieldsNotInForce(policy) : [],
    missing: [...known.missing],
    evacuation: withOrder(known),
    ...certificates,
    servedPolicy: known.servedPolicy,
    dkimKeys: [...known.dkimKeys],
    tasks: { listenerStarts: listeners.starts, routerStarts: router.starts },
    sessions: {
      open: listeners.openSessions,
      ofOldPolicy: listeners.oldSessions,
      oldPolicyEnds: listeners.oldSessionsEnd === null ? null : instant(listeners.oldSessionsEnd),
      plaintextClients: known.plaintext.taken.clients,
      plaintext: [...known.plaintext.taken.list],
      plaintextRefusedClients: known.plaintext.refused.clients,
      plaintextRefused: [...known.plaintext.refused.list],
      tlsSessions: known.sessionCounts.tls,
      plaintextSessions: known.sessionCounts.plaintext,
      refusals: [...known.refusals],
    },
    outbound: known.outbound,
    tlsReports: known.queue.tlsReports ?? null,
    events: known.queue.events ?? null,
    history: known.queue.history ?? null,
    filter: policy?.inbound.filter ? { failure: listeners.reports.filterFailure } : null,
    queue: describeQueue(known),
  };
}

function describeQueue({ policy, queue, listeners, now }: Known): PodStatus['queue'] {
  const seconds = (since: number) => Math.max(0, Math.round((now.getTime() - since) / 1000));
  return {
    depth: queue.depth,
    held: queue.held,
    oldestSeconds: queue.oldest === null ? null : seconds(queue.oldest),
    blockedDestinations: queue.blockedDestinations ?? 0,
    deferrals: [...queue.deferrals],
    loginsRefused: [...queue.logins.refused, ...listeners.reports.logins.refused],
    secretsHeldBack: [...queue.logins.heldBack, ...listeners.reports.logins.heldBack],
    slowed: (queue.slowed ?? []).map(({ since, ...slowed }) => ({ ...slowed, seconds: seconds(since) })),
    full: whyFull(policy, queue),
    waits: queue.waits.map(({ since, ...wait }) => ({ ...wait, withoutSuccessSeconds: seconds(since) })),
  };
}

function withOrder({ evacuation, order }: Known): PodStatus['evacuation'] {
  return evacuation && { ...evacuation, ...(order === undefined ? {} : { order }) };
}

function describePolicy({ policy, refused }: Known): PodStatus['policy'] {
  return policy
    ? { hash: hashContent(policy), refused, summary: summarizePolicy(policy) }
    : { hash: null, refused };
}

/** Why new mail gets 452: see intake.ts of the listener. */
function whyFull(policy: Policy | undefined, { depth, bytes, hasRoom }: QueueFigures): string | null {
  const { maxMessages = null, maxBytes = null } = policy?.queue ?? {};
  if (!hasRoom) return 'the volume of the queue has no room';
  if (maxMessages !== null && depth >= maxMessages) return 'queue.maxMessages is reached';
  const isFull = maxBytes !== null && bytes >= maxBytes * 0.95;
  return isFull ? 'less than a twentieth of queue.maxSize is left' : null;
}

/** A pod in evacuation is ready although it has no listeners: see SERVING_LABEL. */
function whyNotReady({
  stopping,
  evacuating,
  policy,
  certificates,
  listeners,
  router,
  late,
}: Known): string[] {
  if (stopping) return ['the relay is stopping'];
  if (!policy) return ['no policy is in force yet'];
  const reasons: string[] = [...late];
  if (!listeners.isReady) reasons.push('the listener task is starting');
  if (!router.isReady && policy.queue.mode === 'Durable') reasons.push('the router task is starting');
  if (!evacuating && policy.inbound.listeners.some(listenerNeedsKeyPair) && !certificates.certificate) {
    reasons.push(`no usable certificate: ${certificates.certificateProblem?.message}`);
  }
  return reasons;
}

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
