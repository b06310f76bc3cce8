/** The text that `mailrelay status` prints. Pure. */
import { describeShares, MOST_DESTINATIONS } from '#crds/outboundposture.ts';
import { describeTlsShare, type PodStatus } from '#crds/podstatus.ts';
import type { PolicySummary } from '#crds/policysummary.ts';
import { STRICTER_LEVELS, type StricterLevel } from '#crds/tlslevel.ts';
import { servedPort } from '#crds/wellknown.ts';
import { findCure } from '#relay/listener/cures.ts';
import { describeClientPolicy, describeListener, describeNextHops } from './policytext.ts';
import { age, note, row } from './terminal.ts';

/** A destination or a provider that asks for fewer messages. */
export type Slowed = NonNullable<PodStatus['queue']['slowed']>[number];

export function describeStatus(status: PodStatus, now: number): string {
  const lines = [
    row('relay', `${status.version}, ${status.ready ? 'ready' : 'not ready'}`),
    ...status.notReady.map(note),
    ...leavingLines(status),
    ...policyLines(status),
    ...describeCertificates(status, now),
    ...queueLines(status),
    ...sessionLines(status),
    ...troubleLines(status),
    ...status.missing.map((gap) => row('missing', gap)),
    ...status.notInForce.map((gap) => row('not in force', gap)),
    ...refusalLines(status),
    ...plaintextLines(status),
    ...outboundLines(status),
  ];
  return `${lines.join('\n')}\n`;
}

function policyLines({ policy }: PodStatus): string[] {
  const refused = policy.refused;
  return [
    row('policy', policy.hash === null ? 'none yet' : `${policy.hash} in force`),
    ...(refused
      ? [note(`${refused.hash === null ? 'takes no change' : `refused ${refused.hash}`}: ${refused.message}`)]
      : []),
    ...(policy.summary ? summaryLines(policy.summary) : []),
  ];
}

/** The listeners, the clients that are treated differently, and the way out. */
function summaryLines({ listeners, clientPolicies, clientPolicyCount, outbound }: PolicySummary): string[] {
  const more = clientPolicyCount - clientPolicies.length;
  return [
    ...(listeners.length === 0 ? [row('listeners', 'none')] : []),
    ...listeners.map((one, index) =>
      row(
        index === 0 ? 'listeners' : '',
        `${one.name} at port ${describePort(one.port)}: ${describeListener(one)}`,
      ),
    ),
    ...clientPolicies.map((one) =>
      row('clients of', `${one.networks.join(', ')}: ${describeClientPolicy(one)}`),
    ),
    ...(more > 0 ? [note(`and ${more} more client policies`)] : []),
    row(
      'delivers',
      `at level ${outbound.tlsLevel}, by ${describeNextHops(outbound).replace(/^else by MX$/, 'MX')}`,
    ),
  ];
}

/** The port of the Service, and the one of the pod or of `mailrelay run` where it is another. */
function describePort(port: number): string {
  const served = servedPort(port);
  return served === port ? `${port}` : `${port} (here ${served})`;
}

const LEAVING = {
  HandingOver: 'its queue goes to the pods that stay',
  Delivering: 'its queue is delivered',
  Emptied: 'its queue is empty: it may go',
} as const;

function leavingLines({ evacuation }: PodStatus): string[] {
  if (!evacuation) return [];
  const { state, message } = evacuation;
  return [row('leaves', LEAVING[state]), ...(message === null ? [] : [note(message)])];
}

/** That for the host name, that for the names inside the cluster, those for other host names, and that of the policy host. */
export function describeCertificates(status: PodStatus, now: number): string[] {
  return [
    ...describeCertificate('certificate', status.certificate, status.certificateProblem, now),
    ...internalLines(status, now),
    ...sniLines(status, now),
    ...policyHostLines(status, now),
  ];
}

/** What is wrong with any of them. */
export function listCertificateProblems(status: PodStatus): NonNullable<PodStatus['certificateProblem']>[] {
  const { certificateProblem, internalCertificateProblem, policyHostCertificateProblem } = status;
  const others = (status.sniCertificates ?? []).map(({ problem }) => problem);
  return [certificateProblem, internalCertificateProblem, ...others, policyHostCertificateProblem].filter(
    (problem) => problem !== null,
  );
}

function internalLines(
  { internalCertificate, internalCertificateProblem, nextInternalCertificate: next }: PodStatus,
  now: number,
): string[] {
  if (!internalCertificate && !internalCertificateProblem) return [];
  const when = next?.follows ? `at ${next.follows}` : 'two minutes after its authority is published';
  return [
    ...describeCertificate('internal', internalCertificate, internalCertificateProblem, now),
    ...(next ? [note(`serial ${next.serial} follows ${when}: clients first read its authority`)] : []),
  ];
}

/** Names that a certificate does not cover are in its problem. */
function sniLines({ sniCertificates = [] }: PodStatus, now: number): string[] {
  return sniCertificates.flatMap(({ names, certificate, problem }) => [
    ...describeCertificate('by name', certificate, problem, now),
    note(`for ${names.join(', ')}`),
  ]);
}

function policyHostLines({ policyHostCertificate, policyHostCertificateProblem }: PodStatus, now: number) {
  if (!policyHostCertificate && !policyHostCertificateProblem) return [];
  return describeCertificate('mta-sts', policyHostCertificate, policyHostCertificateProblem, now);
}

export function describeCertificate(
  name: string,
  facts: PodStatus['certificate'],
  problem: PodStatus['certificateProblem'],
  now: number,
): string[] {
  const notes = problem ? [note(`${problem.reason}: ${problem.message}`)] : [];
  if (!facts) return [row(name, 'none'), ...notes];
  const { names, notAfter, serial, issuer } = facts;
  const end = Date.parse(notAfter);
  const left = end > now ? `for ${age(now, end)} more` : `ended ${age(end, now)} ago`;
  return [
    row(name, `${names.join(', ')}, until ${notAfter} (${left})`),
    note(`serial ${serial}, issued by ${issuer}`),
    ...notes,
  ];
}

export function describeSlowed({ destination, pace, seconds, message }: Slowed): string {
  const since = seconds === undefined ? '' : ` for ${age(0, seconds * 1000)} now`;
  return `${destination} gets ${pace} of its pace${since}: ${message}`;
}

export function queueLines({ queue }: PodStatus): string[] {
  const { depth, held, oldestSeconds, deferrals, loginsRefused, secretsHeldBack = [], slowed = [] } = queue;
  const oldest = oldestSeconds === null ? '' : `, the oldest for ${age(0, oldestSeconds * 1000)}`;
  return [
    row('queue', `${count(depth, 'message')}, ${held} held${oldest}`),
    ...deferrals.map(({ destination, message }) => note(`${destination}: ${message}`)),
    ...slowed.map((one) => note(describeSlowed(one))),
    ...loginsRefused.map(({ destination, message }) => note(`login refused by ${destination}: ${message}`)),
    ...secretsHeldBack.map(({ destination, message }) => note(`${destination}: ${message}`)),
  ];
}

/** What keeps new mail away, or goes wrong beside the mail. */
export function troubleLines({ queue: { full }, filter, events, history }: PodStatus): string[] {
  return [
    ...(full ? [row('full', full)] : []),
    ...(filter?.failure ? [row('filter', `judges no message: ${filter.failure}`)] : []),
    ...(events ? eventLines(events) : []),
    ...(history?.failure ? [row('history', `lacks mail of the last hour: ${history.failure}`)] : []),
  ];
}

function eventLines({ waiting, failure, hasDropped }: NonNullable<PodStatus['events']>): string[] {
  if (failure === null && !hasDropped) return [];
  const why = failure === null ? 'the receiver is too slow' : `not taken: ${failure}`;
  const dropped = hasDropped ? ['some were dropped in the last hour'] : [];
  return [row('events', [why, `${waiting} wait`, ...dropped].join('; '))];
}

export function sessionLines({ sessions, tasks }: PodStatus): string[] {
  const { open, ofOldPolicy, oldPolicyEnds } = sessions;
  const old = ofOldPolicy > 0 ? `, ${ofOldPolicy} of the policy before, until ${oldPolicyEnds} at most` : '';
  const share = describeTlsShare([sessions]);
  const inTls = share === undefined ? '' : `, ${share} in TLS since the start`;
  const { listenerStarts, routerStarts } = tasks;
  return [
    row('sessions', `${open} open${old}${inTls}`),
    row('tasks', `listener started ${times(listenerStarts)}, router ${times(routerStarts)}`),
  ];
}

/** The latest refusals first, each with the setting that lets the client in. */
function refusalLines({ sessions: { refusals = [] } }: PodStatus): string[] {
  if (refusals.length === 0) return [];
  return [
    row('refused', 'since the relay started, by reason:'),
    ...refusals.flatMap(({ reason, count: many, lastSeen, client, helo }) => {
      const last = client === undefined ? '' : `  ${client}  ${helo || '-'}`;
      const cure = findCure(reason);
      return [
        note(`${reason}  ${times(many)}, last at ${lastSeen}${last}`),
        ...(cure === undefined ? [] : [note(`  ${cure}`)]),
      ];
    }),
  ];
}

/** Clients that sent in plain text: those that Required has refused since, and those that it would refuse. */
function plaintextLines({ sessions }: PodStatus): string[] {
  const { plaintext, plaintextClients, plaintextRefused = [], plaintextRefusedClients = 0 } = sessions;
  const refused = `${count(plaintextRefusedClients, 'client')} in the last 7 days, taken before; Required refused:`;
  const taken = `${count(plaintextClients, 'client')} in the last 7 days; Required would have refused:`;
  const nobody = 'nobody sent in plain text in the last 7 days: Required would have refused nobody';
  return [
    ...(plaintextRefused.length > 0
      ? [row('turned away', refused), ...plaintextRefused.map(describeSender)]
      : []),
    ...(plaintext.length > 0
      ? [row('plain text', taken), ...plaintext.map(describeSender)]
      : [row('plain text', nobody)]),
  ];
}

/** How deliveries were protected, and which destinations a stricter level would make wait. */
function outboundLines({ outbound }: PodStatus): string[] {
  if (!outbound || outbound.deliveries === 0) return [];
  const { deliveries, fellBack } = outbound;
  const many = deliveries === 1 ? '1 delivery' : `${deliveries} deliveries`;
  return [
    row(
      'outbound',
      `${many} in the last 7 days, by the strictest level that was met: ${describeShares(outbound.level)}`,
    ),
    note(`TLS ${describeShares(outbound.version)}; groups ${describeShares(outbound.group)}`),
    note(
      `verified by ${describeShares(outbound.verifiedBy)}; fell back to plain text: ${describeShares(fellBack)}`,
    ),
    ...STRICTER_LEVELS.flatMap((level) => waitingLines(level, outbound)),
  ];
}

function waitingLines(level: StricterLevel, { wouldWait }: NonNullable<PodStatus['outbound']>): string[] {
  const found = wouldWait.find((one) => one.level === level);
  const name = `at ${level}`;
  if (!found) return [row(name, 'not known: DANE is not looked up')].filter(() => level === 'Dane');
  const { destinations, list } = found;
  if (destinations === 0) return [row(name, 'no mail of the last 7 days would have waited')];
  const more = destinations - list.length;
  const least = destinations < MOST_DESTINATIONS ? '' : 'at least ';
  return [
    row(name, `mail for ${least}${count(destinations, 'destination')} of the last 7 days would have waited:`),
    ...list.map(({ destination, message, lastSeen }) =>
      note(`${destination}  ${message}  ${lastHour(lastSeen)}`),
    ),
    ...(more > 0 ? [note(`and ${more} more`)] : []),
  ];
}

function describeSender({ network, helo, lastSeen }: PodStatus['sessions']['plaintext'][number]): string {
  return note(`${network}  ${helo || '-'}  ${lastHour(lastSeen)}`);
}

/** The relay keeps only the hour, rounded down. */
function lastHour(hour: string): string {
  return `last at ${hour} or up to an hour later`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function times(number: number): string {
  return number === 1 ? 'once' : `${number} times`;
}
