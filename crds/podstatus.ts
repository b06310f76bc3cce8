/**
 * The status of one pod: the body of `GET /status`, which the operator and `mailrelay` read. The operator keeps one
 * long poll for each pod, `GET /status?since=<revision>`. It answers as soon as the revision differs, or after a
 * minute. Figures that change with the traffic raise the revision at most once a minute. Readers accept unknown fields,
 * because a relay may be newer than its reader. The answer may come from another program, so every string and list has
 * a bound here, and readers cut longer values.
 */
import { z } from 'zod';
import { FAILURE_CAUSES } from './failure.ts';
import { fitter } from './fit.ts';

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

const certificateFacts = z.object({
  /** Upper-case hex, as openssl prints it. */
  serial: text(128),
  /** SHA-256 of the DER, colon-separated hex. */
  fingerprint: text(128),
  /** RFC 3339, UTC, whole seconds. */
  notBefore: instant(),
  notAfter: instant(),
  names: z.array(text(253)).max(128),
  issuer: message(),
});
export type CertificateFacts = z.infer<typeof certificateFacts>;

/** Why the mounted pair is not (or not happily) served. The reasons of conditions.ts. */
const certificateProblem = z.object({ reason: text(256), message: message() });

/** Which pod of which relay speaks: an address may belong to another pod by now. */
const identity = z.object({
  pod: text(253),
  uid: text(64),
  namespace: text(63),
  relay: text(253),
});
export type PodIdentity = z.infer<typeof identity>;

/** How far a pod that leaves is; `Emptied`: it takes no mail any more and its disk has none. */
const evacuation = z.object({
  state: z.enum(['HandingOver', 'Delivering', 'Emptied']),
  /** What stands in the way, or why the queue is delivered instead of handed over; null: nothing. */
  message: message().nullable(),
  /** The order of the scale file that it obeys. Older relays do not say. */
  order: text(128).optional(),
});

export const podStatus = z.object({
  format: z.literal(1),
  /** Changes with every fact below that the operator should see; opaque, unique across restarts. */
  revision: text(128),
  version: text(64),
  /** Older relays do not say, and outside a pod there is none: such a word is not enough to delete anything. */
  identity: identity.optional(),
  /** False from the moment the relay was told to stop. */
  ready: z.boolean(),
  /** Why it is not ready; empty when it is. */
  notReady: z.array(message()).max(16),
  policy: z.object({
    /** Hash of the policy in force for every new session and delivery; null before the first. */
    hash: text(64).nullable(),
    /** A policy that was read and not taken; the one above stays in force. */
    refused: z.object({ hash: text(64).nullable(), message: message() }).nullable(),
  }),
  /** Fields of the policy that this relay does not enforce yet, each with what it does instead. */
  notInForce: z.array(message()).max(64),
  /** Secrets and ConfigMaps that the policy names and that are missing or unusable, each with what does not work. */
  missing: z.array(message()).max(64).default([]),
  /** null: it stays. Older relays do not say, and cannot hand over. */
  evacuation: evacuation.nullable().optional(),
  certificate: certificateFacts.nullable(),
  certificateProblem: certificateProblem.nullable(),
  /** The same of the certificate for names inside the cluster, where one is wanted. */
  internalCertificate: certificateFacts.nullable().default(null),
  internalCertificateProblem: certificateProblem.nullable().default(null),
  /** Who issued it, from ca.crt: certificates as PEM, which are public. */
  internalAuthority: text(1024 * 1024)
    .nullable()
    .default(null),
  tasks: z.object({
    /** How often each task was started since the relay was: a restart contract can be checked by it. */
    listenerStarts: count(),
    routerStarts: count(),
  }),
  sessions: z.object({
    open: count(),
    /** Open sessions that began under an earlier policy, and when the last of them is ended at the latest. */
    ofOldPolicy: count(),
    oldPolicyEnds: instant().nullable(),
    /** Distinct clients of the last seven days that sent mail in plain text: Required would have refused them. */
    plaintextClients: count(),
    /** Whom Required would refuse: who sent in plain text in the last seven days, the latest first, at most fifty. */
    plaintext: plaintextSenders().default([]),
    /**
     * The same of those that Required refused in the last seven days, though their mail was taken in plain text in the
     * seven days before. They are not among the clients above. Absent in older relays.
     */
    plaintextRefusedClients: count().optional(),
    plaintextRefused: plaintextSenders().optional(),
    /** Sessions with a handshake, and sessions that offered mail without TLS, since the relay started. Absent in older relays. */
    tlsSessions: count().optional(),
    plaintextSessions: count().optional(),
    /** Refusals since the relay started, by reason, the latest first. Absent in older relays. */
    refusals: z
      .array(
        z.object({
          /** The label of the metric, which `mailrelay explain` knows. */
          reason: text(64),
          count: count(),
          lastSeen: text(64),
          /** The last one; absent where it was refused before it said anything. */
          client: text(64).optional(),
          helo: text(255).optional(),
        }),
      )
      .max(20)
      .optional(),
  }),
  queue: z.object({
    depth: count(),
    /** Messages that wait for a person: held back by one, or set aside as damaged. */
    held: count(),
    /** Age of the oldest, in seconds; null when empty. */
    oldestSeconds: z.number().min(0).max(2_147_483_647).nullable(),
    /** Destinations that wait for nothing but a free slot, because deliveries over all are bounded. Older relays do not say. */
    blockedDestinations: count().optional(),
    /** The last reason a delivery was put off, by destination; at most ten destinations. */
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
    /** Next hops that refuse our login: what waits for them is held back, not returned. */
    loginsRefused: destinations().default([]),
    /** Why new mail is answered 452; null or absent: it is not. */
    full: text(256).nullable().optional(),
    /** Destinations that mail waits for, and for how long none of it went out. Absent in older relays. */
    waits: z
      .array(
        z.object({
          destination: text(256),
          /** A hop that the spec names, not a domain of the world. */
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

/** Clients whose mail was taken in plain text, also those that Required refused since. */
export function countPlaintextClients({ plaintextClients, plaintextRefusedClients = 0 }: Sessions): number {
  return plaintextClients + plaintextRefusedClients;
}

/**
 * The share of sessions in TLS, of all that made a handshake or offered mail, such as 97%. Undefined without any. It says
 * 100% and 0% only where that is exact.
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

/** The status in a reply body, or undefined when the body is not one that this reader understands. */
export function parsePodStatus(text: string): PodStatus | undefined {
  try {
    const result = podStatus.safeParse(fit(JSON.parse(text)));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
