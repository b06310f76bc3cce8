/**
 * Renders the status of a MailRelay from the world and the verdicts. The same world gives the same bytes, and a
 * transition time changes only with the status of its condition. Figures that change with the traffic come from the
 * reports of the pods, at most once a minute, and are rounded. Pure: the time comes with the world.
 */

import type { CertificateFacts } from '#crds/certificatestatus.ts';
import { CONDITION_TYPES } from '#crds/conditions.ts';
import { startTlsSummary } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { fieldsNotInForce } from '#crds/notinforce.ts';
import { countPlaintextClients, describeTlsShare, type PodStatus } from '#crds/podstatus.ts';
import { hashContent } from '#crds/policyfile.ts';
import type { Condition, MailRelayStatus } from '#crds/status.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { judge } from '../judge/chain.ts';
import { podsWithPolicy } from '../judge/checks.ts';
import { type Finding, is, type Judged } from '../judge/finding.ts';
import { coarse, quoted } from '../judge/words.ts';
import { listRecords } from '../records/list.ts';
import type { PodView } from '../world.ts';
import { renderOutbound } from './outbound.ts';
import { summarize } from './summary.ts';
import { renderTlsReports } from './tlsreports.ts';

/**
 * The most names that the schema allows. A certificate can have more, and the API server would refuse the whole status.
 */
const CERTIFICATE_NAMES = 128;

export function renderStatus(world: Judged): MailRelayStatus {
  const { relay, pods, leaving, policy } = world;
  const verdicts = judge(world);
  const conditions = CONDITION_TYPES.flatMap((type) => {
    const finding = verdicts[type];
    return finding ? [makeCondition(world, type, finding)] : [];
  });
  const labels = Object.entries(selectorLabels(relay.metadata.name));
  const ready = pods.filter((pod) => pod.ready && !pod.deleting).length;
  return {
    observedGeneration: relay.metadata.generation,
    conditions,
    ...summarize(conditions),
    ready: `${ready}/${relay.spec.replicas}`,
    replicas: pods.length + leaving.length,
    readyReplicas: ready,
    selector: labels.map(([key, value]) => `${key}=${value}`).join(','),
    ...(policy ? { starttls: startTlsSummary(policy) } : {}),
    ...clientPolicyStatus(policy),
    ...certificateStatus(pods),
    ...policyStatus(world),
    ...recordsStatus(world),
    ...gapsStatus(world),
    ...trafficStatus([...pods, ...leaving]),
    ...tlsReportsStatus(world),
  };
}

/**
 * The status after a look that failed by a fault of ours, so that nobody takes what was told before for what is. All else stays
 * as it was, also the generation that was observed.
 */
export function withFault(relay: MailRelay, fault: string, now: number): MailRelayStatus {
  const text = `The operator fails at this MailRelay, and tries it again: ${quoted(fault)}: report it as a fault of the operator`;
  const told = makeCondition({ relay, now }, 'Reconciling', is('True', 'LookFailed', text));
  const before = relay.status?.conditions ?? [];
  const conditions = CONDITION_TYPES.flatMap((type) =>
    type === 'Reconciling' ? [told] : before.filter((condition) => condition.type === type),
  );
  const { problems: _, message: __, ...rest } = relay.status ?? {};
  return { ...rest, conditions, ...summarize(conditions) };
}

function makeCondition(
  { relay, now }: Pick<Judged, 'relay' | 'now'>,
  type: string,
  finding: Finding,
): Condition {
  const before = relay.status?.conditions?.find((condition) => condition.type === type);
  const lastTransitionTime =
    before?.status === finding.status
      ? before.lastTransitionTime
      : new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return { type, ...finding, lastTransitionTime, observedGeneration: relay.metadata.generation };
}

/** One line for each client policy: its networks and its settings. */
function clientPolicyStatus(policy: Judged['policy']): Pick<MailRelayStatus, 'clientPolicies'> {
  const lines = (policy?.inbound.clientPolicies ?? []).map(
    ({ networks, starttls, minTlsVersion, lineEndings }) => {
      const what = [
        ...(starttls === null ? [] : [`starttls ${starttls}`]),
        ...(minTlsVersion === null ? [] : [`minVersion ${minTlsVersion}`]),
        ...(lineEndings === null ? [] : [`lineEndings ${lineEndings}`]),
      ];
      return `${networks.join(', ')}: ${what.join(', ')}`;
    },
  );
  return lines.length > 0 ? { clientPolicies: lines } : {};
}

function certificateStatus(
  pods: readonly PodView[],
): Pick<MailRelayStatus, SingleCertificate | 'sniCertificates'> {
  const reports = pods.flatMap(({ report }) => report ?? []);
  return {
    ...servedAs('certificate', reports),
    ...servedAs('internalCertificate', reports),
    ...sniCertificateStatus(reports),
    ...servedAs('policyHostCertificate', reports),
  };
}

type SingleCertificate = 'certificate' | 'internalCertificate' | 'policyHostCertificate';

function servedAs(field: SingleCertificate, reports: readonly PodStatus[]) {
  const found = describeServed(reports.flatMap((report) => report[field] ?? []));
  return found ? { [field]: found } : {};
}

function sniCertificateStatus(reports: readonly PodStatus[]): Pick<MailRelayStatus, 'sniCertificates'> {
  const told = reports.flatMap((report) => report.sniCertificates ?? []);
  const sniCertificates = [...new Set(told.map(({ secret }) => secret))].flatMap((secretName) => {
    const found = describeServed(
      told.flatMap(({ secret, certificate }) => (secret === secretName ? (certificate ?? []) : [])),
    );
    return found ? [{ secretName, ...found }] : [];
  });
  return sniCertificates.length > 0 ? { sniCertificates } : {};
}

function describeServed(served: readonly CertificateFacts[]) {
  // During a renewal pods serve different certificates. The status shows the newest.
  const newest = served.toSorted((a, b) => (a.notBefore < b.notBefore ? 1 : -1))[0];
  if (!newest) return undefined;
  const podsServing = served.filter(({ serial }) => serial === newest.serial).length;
  const { serial, notAfter, names } = newest;
  return { serial, notAfter, names: names.slice(0, CERTIFICATE_NAMES), podsServing };
}

function policyStatus(world: Judged): Pick<MailRelayStatus, 'policy'> {
  const { policy, pods } = world;
  if (!policy) return {};
  const sessions = pods.flatMap(({ report }) => report?.sessions ?? []);
  const ends = sessions.flatMap(({ oldPolicyEnds }) => oldPolicyEnds ?? []).toSorted();
  const last = ends.at(-1);
  return {
    policy: {
      hash: hashContent(policy),
      podsServing: podsWithPolicy(world).length,
      oldSessions: sessions.reduce((sum, { ofOldPolicy }) => sum + ofOldPolicy, 0),
      ...(last ? { oldSessionsEnd: last } : {}),
    },
  };
}

function recordsStatus(world: Judged): Pick<MailRelayStatus, 'dnsRecords'> {
  const dnsRecords = listRecords(world).map((record) => ({ ...record, values: [...record.values] }));
  return dnsRecords.length > 0 ? { dnsRecords } : {};
}

/**
 * The gaps that the pods report, because their version may differ from ours. Without a report: the gaps of our version.
 */
function gapsStatus({ policy, pods }: Judged): Pick<MailRelayStatus, 'notInForce'> {
  const reports = pods.flatMap(({ report }) => report ?? []);
  const gaps =
    reports.length > 0
      ? reports.flatMap(({ notInForce }) => notInForce)
      : policy
        ? fieldsNotInForce(policy)
        : [];
  const distinct = [...new Set(gaps)];
  return distinct.length > 0 ? { notInForce: distinct } : {};
}

type TrafficField = 'queue' | 'plaintextClients' | 'tlsShare' | 'outbound';

function trafficStatus(pods: readonly PodView[]): Pick<MailRelayStatus, TrafficField> {
  const reports = pods.flatMap(({ report }) => report ?? []);
  if (reports.length === 0) return {};
  const sum = (figure: (report: (typeof reports)[number]) => number) =>
    reports.reduce((all, one) => all + figure(one), 0);
  const tlsShare = describeTlsShare(reports.map(({ sessions }) => sessions));
  const outbound = renderOutbound(reports.flatMap((report) => report.outbound ?? []));
  const slowed = listSlowed(reports.flatMap(({ queue }) => queue.slowed ?? []));
  const oldest = Math.max(...reports.map(({ queue }) => queue.oldestSeconds ?? 0));
  return {
    queue: {
      depth: coarse(sum(({ queue }) => queue.depth)),
      held: sum(({ queue }) => queue.held),
      ...(oldest > 0 ? { oldestAge: coarseAge(oldest) } : {}),
      ...(slowed.length > 0 ? { slowed } : {}),
    },
    plaintextClients: coarse(sum(({ sessions }) => countPlaintextClients(sessions))),
    ...(tlsShare === undefined ? {} : { tlsShare }),
    ...(outbound === undefined ? {} : { outbound }),
  };
}

/** One line for each destination, whatever the number of pods. */
function listSlowed(slowed: readonly NonNullable<PodStatus['queue']['slowed']>[number][]): string[] {
  const lines = new Map(
    slowed.map(({ destination, pace, message }) => [
      destination,
      `${destination}: ${pace} of its pace: ${message}`,
    ]),
  );
  return [...lines.values()].toSorted().slice(0, 10);
}

function tlsReportsStatus({ relay, pods, leaving }: Judged): Pick<MailRelayStatus, 'tlsReports'> {
  const reports = [...pods, ...leaving].flatMap(({ report }) => report ?? []);
  const tlsReports = renderTlsReports(reports, relay.status?.tlsReports);
  return tlsReports ? { tlsReports } : {};
}

function coarseAge(seconds: number): string {
  if (seconds < 60) return '<1m';
  if (seconds < 3_600) return `${Math.floor(seconds / 600) * 10 || 1}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
