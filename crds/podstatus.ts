/**
 * What a relay says about itself: the body of `GET /status`, read by the operator and by `mailrelay`. The operator
 * keeps one long poll per pod, `GET /status?since=<revision>`, which answers as soon as the revision differs (or after
 * a minute). Figures that move with the traffic do not raise the revision more than once a minute.
 * Readers accept unknown fields, because a relay may be newer than its reader.
 */
import { z } from 'zod';

const certificateFacts = z.object({
  /** Upper-case hex, as openssl prints it. */
  serial: z.string(),
  /** SHA-256 of the DER, colon-separated hex. */
  fingerprint: z.string(),
  /** RFC 3339, UTC, whole seconds. */
  notBefore: z.string(),
  notAfter: z.string(),
  names: z.array(z.string()),
  issuer: z.string(),
});
export type CertificateFacts = z.infer<typeof certificateFacts>;

/** Why the mounted pair is not (or not happily) served. The reasons of conditions.ts. */
const certificateProblem = z.object({ reason: z.string(), message: z.string() });

/** Which pod of which relay speaks: an address may belong to another pod by now. */
const identity = z.object({
  pod: z.string().max(253),
  uid: z.string().max(64),
  namespace: z.string().max(63),
  relay: z.string().max(253),
});
export type PodIdentity = z.infer<typeof identity>;

/** How far a pod that leaves is; `Emptied`: it takes no mail any more and its disk has none. */
const evacuation = z.object({
  state: z.enum(['HandingOver', 'Delivering', 'Emptied']),
  /** What stands in the way, or why the queue is delivered instead of handed over; null: nothing. */
  message: z.string().nullable(),
  /** The order of the scale file that it obeys. Older relays do not say. */
  order: z.string().max(128).optional(),
});

const podStatus = z.object({
  format: z.literal(1),
  /** Changes with every fact below that the operator should see; opaque, unique across restarts. */
  revision: z.string(),
  version: z.string(),
  /** Older relays do not say, and outside a pod there is none: such a word is not enough to delete anything. */
  identity: identity.optional(),
  /** False from the moment the relay was told to stop. */
  ready: z.boolean(),
  /** Why it is not ready; empty when it is. */
  notReady: z.array(z.string()),
  policy: z.object({
    /** Hash of the policy in force for every new session and delivery; null before the first. */
    hash: z.string().nullable(),
    /** A policy that was read and not taken; the one above stays in force. */
    refused: z.object({ hash: z.string().nullable(), message: z.string() }).nullable(),
  }),
  /** Fields of the policy that this relay does not enforce yet, each with what it does instead. */
  notInForce: z.array(z.string()),
  /** Secrets and ConfigMaps that the policy names and that are missing or unusable, each with what does not work. */
  missing: z.array(z.string()).default([]),
  /** null: it stays. Older relays do not say, and cannot hand over. */
  evacuation: evacuation.nullable().optional(),
  certificate: certificateFacts.nullable(),
  certificateProblem: certificateProblem.nullable(),
  /** The same of the certificate for names inside the cluster, where one is wanted. */
  internalCertificate: certificateFacts.nullable().default(null),
  internalCertificateProblem: certificateProblem.nullable().default(null),
  /** Who issued it, from ca.crt: certificates as PEM, which are public. */
  internalAuthority: z.string().nullable().default(null),
  tasks: z.object({
    /** How often each task was started since the relay was: a restart contract can be checked by it. */
    listenerStarts: z.int(),
    routerStarts: z.int(),
  }),
  sessions: z.object({
    open: z.int(),
    /** Open sessions that began under an earlier policy, and when the last of them is ended at the latest. */
    ofOldPolicy: z.int(),
    oldPolicyEnds: z.string().nullable(),
    /** Distinct clients of the last seven days that sent mail in plain text: Required would have refused them. */
    plaintextClients: z.int(),
    /** Whom Required would refuse: who sent in plain text in the last seven days, the latest first, at most fifty. */
    plaintext: z
      .array(
        z.object({
          /** CIDR: /24 of IPv4, /64 of IPv6. */
          network: z.string(),
          helo: z.string(),
          /** RFC 3339, UTC, whole hours. */
          lastSeen: z.string(),
        }),
      )
      .default([]),
  }),
  queue: z.object({
    depth: z.int(),
    /** Messages that wait for a person: held back by one, or set aside as damaged. */
    held: z.int(),
    /** Age of the oldest, in seconds; null when empty. */
    oldestSeconds: z.number().nullable(),
    /** The last reason a delivery was put off, by destination; at most ten destinations. */
    deferrals: z.array(z.object({ destination: z.string(), message: z.string() })),
    /** Next hops that refuse our login: what waits for them is held back, not returned. */
    loginsRefused: z.array(z.object({ destination: z.string(), message: z.string() })).default([]),
  }),
});
export type PodStatus = z.infer<typeof podStatus>;

/** The status in a reply body, or undefined when the body is not one that this reader understands. */
export function parsePodStatus(text: string): PodStatus | undefined {
  try {
    const result = podStatus.safeParse(JSON.parse(text));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
