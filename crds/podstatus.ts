/**
 * The status of one pod: the body of `GET /status`, which the operator and `mailrelay` read. The operator keeps one
 * long poll for each pod, `GET /status?since=<revision>`. It answers as soon as the revision differs, or after a
 * minute. Figures that change with the traffic raise the revision at most once a minute. Readers accept unknown fields,
 * because a relay may be newer than its reader. The answer may come from another program, so every string and list has
 * a bound here, and readers cut longer values.
 */
import { z } from 'zod';
import {
  AUTHORITY_LENGTH,
  certificateFacts,
  certificateProblem,
  nextInternalCertificate,
  sniCertificate,
} from './certificatestatus.ts';
import { FAILURE_CAUSES } from './failure.ts';
import { fitter } from './fit.ts';
import { outboundPosture } from './outboundposture.ts';
import { policySummary } from './policysummary.ts';
import { MOST_SNI_CERTIFICATES } from './sni.ts';

const text = (most: number) => z.string().max(most);
const message = () => text(1024);
const count = () => z.int().min(0).max(2_147_483_647);
const instant = () => z.iso.datetime().max(64);
const destinations = () => z.array(z.object({ destination: text(256), message: message() })).max(16);

const plaintextSenders = () =>
  z
    .array(
      z.object({
        /** CIDR: /24 of IPv4, /64 of IPv6. */
        network: text(64),
        helo: text(255),
        /** RFC 3339, UTC, whole hours. */
        lastSeen: text(64),
      }),
    )
    .max(50);

/** A public DKIM key, as its DNS record has it. The longest is that of RSA with 4096 bits. */
const dkimKey = z.object({
  domain: text(253),
  selector: text(63),
  type: z.enum(['rsa', 'ed25519']),
  /** Base64. */
  publicKey: text(1024),
});
export type PublishedDkimKey = z.infer<typeof dkimKey>;

/** The pod and the relay that report. A reader needs them because an address can pass to another pod. */
const identity = z.object({
  pod: text(253),
  uid: text(64),
  namespace: text(63),
  relay: text(253),
});
export type PodIdentity = z.infer<typeof identity>;

/** The progress of a pod that leaves. `Emptied`: it takes no mail any more and its disk has no mail. */
const evacuation = z.object({
  state: z.enum(['HandingOver', 'Delivering', 'Emptied']),
  /** The obstacle, or the reason why the queue is delivered instead of handed over; null if there is none. */
  message: message().nullable(),
  /** The order of the scale file that the pod follows. Older relays do not report it. */
  order: text(128).optional(),
});

/** The TLS reports of others that a pod received on one day (UTC). */
const tlsReportsDay = z.object({
  /** "2026-11-28". */
  day: text(10),
  reports: count(),
  /** Mails for the address that were no valid report. */
  discarded: count(),
  /** Sessions that the reports tell of. */
  successes: z.int().min(0),
  failures: z.int().min(0),
});
export type TlsReportsDay = z.infer<typeof tlsReportsDay>;

/** The delivery history. */
const historyFigures = z.object({
  /** Why it could not be written at some time in the last hour, so that it misses facts; null: it could. */
  failure: message().nullable(),
});
export type HistoryFigures = z.infer<typeof historyFigures>;

/** Events on their way to their receiver. */
const eventFigures = z.object({
  waiting: count(),
  /** Why the receiver has taken none for a minute; null: it has. */
  failure: message().nullable(),
  /** Events were dropped in the last hour, because too many waited. */
  hasDropped: z.boolean(),
});
export type EventFigures = z.infer<typeof eventFigures>;

export const podStatus = z.object({
  format: z.literal(1),
  /** Changes with every fact below that the operator should see; opaque, unique across restarts. */
  revision: text(128),
  version: text(64),
  /** Absent in older relays and outside a pod. Nothing is deleted or published because of a report without an identity. */
  identity: identity.optional(),
  /** False as soon as the relay is told to stop. */
  ready: z.boolean(),
  /** Why it is not ready; empty when it is. */
  notReady: z.array(message()).max(16),
  policy: z.object({
    /** Hash of the policy in force for every new session and delivery; null before the first. */
    hash: text(64).nullable(),
    /** A policy that the relay refused, or why it cannot read the mounted files; the policy above stays in force. */
    refused: z.object({ hash: text(64).nullable(), message: message() }).nullable(),
    /** What the policy in force says. Absent before the first policy, and in older relays. */
    summary: policySummary.optional(),
  }),
  /** Fields of the policy that this relay does not enforce yet, and what happens instead. */
  notInForce: z.array(message()).max(64),
  /** Secrets and ConfigMaps of the policy that are missing or unusable, and what does not work without them. */
  missing: z.array(message()).max(64).default([]),
  /** null: the pod stays. Absent in older relays, which cannot hand their queue over. */
  evacuation: evacuation.nullable().optional(),
  certificate: certificateFacts.nullable(),
  certificateProblem: certificateProblem.nullable(),
  /** The certificate for the names inside the cluster, if the spec has one. */
  internalCertificate: certificateFacts.nullable().default(null),
  internalCertificateProblem: certificateProblem.nullable().default(null),
  /** The authority that issued it: the certificates in ca.crt as PEM. They are public. */
  internalAuthority: text(AUTHORITY_LENGTH).nullable().default(null),
  /** The one that is mounted for these names and waits. null: none waits. Absent in older relays. */
  nextInternalCertificate: nextInternalCertificate.nullable().optional(),
  /** The certificates for other host names, by Secret, in the order of the policy. Absent in older relays. */
  sniCertificates: z.array(sniCertificate).max(MOST_SNI_CERTIFICATES).optional(),
  /** The certificate of the policy host of MTA-STS, if the pod is one. */
  policyHostCertificate: certificateFacts.nullable().default(null),
  policyHostCertificateProblem: certificateProblem.nullable().default(null),
  /**
   * The policy that the pod serves: its id, and the names for which senders can get it. null: it serves none. Absent in
   * older relays.
   */
  servedPolicy: z
    .object({ id: text(64), hosts: z.array(text(261)).max(256) })
    .nullable()
    .optional(),
  /** The public halves of the DKIM keys of the policy that can be read. Absent in older relays. */
  dkimKeys: z.array(dkimKey).max(64).optional(),
  /** The certificate that is mounted to be served next, and its Secret, while a key rolls over. Absent in older relays. */
  nextCertificate: certificateFacts
    .extend({ secret: text(253) })
    .nullable()
    .optional(),
  tasks: z.object({
    /** How often each task was started since the start of the relay. Tests check the restart contract by it. */
    listenerStarts: count(),
    routerStarts: count(),
  }),
  sessions: z.object({
    open: count(),
    /** Open sessions that began under an earlier policy, and the latest time at which they end. */
    ofOldPolicy: count(),
    oldPolicyEnds: instant().nullable(),
    /** Distinct clients of the last seven days that sent mail in plain text: Required would have refused them. */
    plaintextClients: count(),
    /** At most fifty of these clients, the latest first. */
    plaintext: plaintextSenders().default([]),
    /**
     * Clients that Required refused in the last seven days, although the relay took their mail in plain text in the
     * seven days before. They are not among the clients above. Absent in older relays.
     */
    plaintextRefusedClients: count().optional(),
    plaintextRefused: plaintextSenders().optional(),
    /**
     * Sessions with a handshake, and sessions that offered mail without TLS, since the relay started. Absent in older
     * relays.
     */
    tlsSessions: count().optional(),
    plaintextSessions: count().optional(),
    /** Refusals since the relay started, by reason, the latest first. Absent in older relays. */
    refusals: z
      .array(
        z.object({
          /** The label of the metric. `mailrelay explain` explains it. */
          reason: text(64),
          count: count(),
          lastSeen: text(64),
          /** The client that was refused last; absent if it was refused before its first command. */
          client: text(64).optional(),
          helo: text(255).optional(),
        }),
      )
      .max(20)
      .optional(),
  }),
  /** The deliveries of the last seven days. Absent in older relays. */
  outbound: outboundPosture.optional(),
  /** The last day that is over. null: no reports are taken. Absent in older relays. */
  tlsReports: tlsReportsDay.nullable().optional(),
  /** null: nobody is told. Absent in older relays. */
  events: eventFigures.nullable().optional(),
  /** null: none is kept. Absent in older relays. */
  history: historyFigures.nullable().optional(),
  /** The content filter, and why it judges no message; null: there is none. Absent in older relays. */
  filter: z.object({ failure: message().nullable() }).nullable().optional(),
  queue: z.object({
    depth: count(),
    /** Messages that wait for a person: held back by one, or set aside as damaged. */
    held: count(),
    /** Age of the oldest message in seconds; null if the queue is empty. */
    oldestSeconds: z.number().min(0).max(2_147_483_647).nullable(),
    /**
     * Destinations that wait only for a free slot, because the number of deliveries is bounded. Absent in older relays.
     */
    blockedDestinations: count().optional(),
    /** The last reason of a deferral, by destination; at most ten destinations. */
    deferrals: z
      .array(
        z.object({
          destination: text(256),
          /** Absent in older relays. */
          cause: z.enum(FAILURE_CAUSES).optional().catch(undefined),
          message: message(),
        }),
      )
      .max(16),
    /** Next hops that refuse our login. Mail for them waits and is not returned. */
    loginsRefused: destinations().default([]),
    /** Next hops that refuse the new contents of a Secret, so the old ones stay in use. Absent in older relays. */
    secretsHeldBack: destinations().optional(),
    /** Destinations and providers that ask for fewer messages. Absent in older relays. */
    slowed: z
      .array(
        z.object({
          destination: text(256),
          pace: text(16),
          /** How long its pace has not been whole. Absent in older relays. */
          seconds: z.number().min(0).max(2_147_483_647).optional(),
          message: message(),
        }),
      )
      .max(16)
      .optional(),
    /** Why the relay answers 452 to new mail; null or absent: it takes new mail. */
    full: text(256).nullable().optional(),
    /** Destinations for which mail waits, and the time since the last success of each. Absent in older relays. */
    waits: z
      .array(
        z.object({
          destination: text(256),
          /** True for a hop that the spec names, false for a domain that is reached by MX. */
          configured: z.boolean(),
          withoutSuccessSeconds: z.number().min(0).max(2_147_483_647),
          message: message(),
        }),
      )
      .max(16)
      .optional(),
  }),
});
export type PodStatus = z.infer<typeof podStatus>;

type Sessions = PodStatus['sessions'];

/** The number of clients whose mail was taken in plain text, with those that Required has refused since. */
export function countPlaintextClients({ plaintextClients, plaintextRefusedClients = 0 }: Sessions): number {
  return plaintextClients + plaintextRefusedClients;
}

/**
 * The share of TLS sessions among all sessions that made a handshake or offered mail, such as 97%. Undefined without
 * such sessions. The result is 100% or 0% only if that is exact.
 */
export function describeTlsShare(pods: readonly Sessions[]): string | undefined {
  const sum = (figure: (one: Sessions) => number | undefined) =>
    pods.reduce((all, one) => all + (figure(one) ?? 0), 0);
  const tls = sum(({ tlsSessions }) => tlsSessions);
  const plaintext = sum(({ plaintextSessions }) => plaintextSessions);
  if (tls + plaintext === 0) return undefined;
  if (tls === 0 || plaintext === 0) return tls === 0 ? '0%' : '100%';
  return `${Math.min(99, Math.max(1, Math.round((100 * tls) / (tls + plaintext))))}%`;
}

const fit = fitter(podStatus);

/** Prints a reply body that fits the bounds, so that it is never longer than a reader takes. */
export function printPodStatus(status: PodStatus): string {
  return `${JSON.stringify(fit(status))}\n`;
}

/** Parses a reply body. Undefined if this reader does not understand it. */
export function parsePodStatus(text: string): PodStatus | undefined {
  try {
    const result = podStatus.safeParse(fit(JSON.parse(text)));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
