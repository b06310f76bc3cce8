/**
 * The status of a MailRelay: the operator's summary of its pods. Part of the single source of the CRD. conditions.ts
 * explains the conditions.
 */
import { z } from 'zod';
import { RECORD_TYPES } from './dnsrecords.ts';
import { fitter } from './fit.ts';
import { MOST_SNI_CERTIFICATES } from './sni.ts';
import { STRICTER_LEVELS } from './tlslevel.ts';

const condition = z.object({
  type: z
    .string()
    .max(316)
    .describe(
      'Type of the condition: Ready, Reconciling, Stalled, CertificateReady, PolicyApplied, QueueHealthy or ConfigurationSound.',
    ),
  status: z.enum(['True', 'False', 'Unknown']).describe('The verdict.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('A stable word for the verdict; all are documented.'),
  message: z.string().max(32_768).describe('The meaning of the reason, and the cure.'),
  lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('When the status last changed.'),
  observedGeneration: z
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The generation that was judged.'),
});

/**
 * The status of a MailRelay that no operator has reconciled yet. The API server fills it in, because kstatus (Flux,
 * Helm) would take a MailRelay without observedGeneration for current.
 */
export const UNSEEN = { observedGeneration: -1 } as const;

const count = () => z.int().min(0).max(2_147_483_647);
/** As strangers report them. */
const sessions = () => z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const shares = (by: string) => z.string().max(512).optional().describe(`Shares of the deliveries by ${by}.`);

const certificate = () =>
  z.object({
    serial: z.string().max(128).optional().describe('Serial number that the pods serve.'),
    notAfter: z.string().meta({ format: 'date-time' }).optional().describe('When the certificate ends.'),
    names: z.array(z.string().max(253)).max(128).optional().describe('Host names of the certificate.'),
    podsServing: count().optional().describe('Number of pods that serve this serial.'),
  });

export const mailRelayStatus = z.object({
  observedGeneration: z
    .int()
    .min(UNSEEN.observedGeneration)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The generation that this status speaks of; -1 where no operator has looked at it.'),
  conditions: z
    .array(condition)
    .max(16)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .describe('Verdicts, by the rules of kstatus.'),
  installation: z
    .string()
    .max(317)
    .optional()
    .describe('Namespace and release of the operator that looks after it: the first that took it.'),
  className: z.string().max(253).optional().describe('spec.className as it was when that operator took it.'),
  problems: z
    .string()
    .max(256)
    .optional()
    .describe('Types of the conditions that are not as they should be; absent where all are.'),
  message: z
    .string()
    .max(32_768)
    .optional()
    .describe(
      'What is wrong in each of them, and the cure; where all are well, what is in progress, or the message of Ready.',
    ),
  ready: z.string().max(32).optional().describe('Ready pods of those that are wanted, such as 2/3.'),
  replicas: count().optional().describe('Number of relay pods that exist.'),
  readyReplicas: count().optional().describe('Number of relay pods that are ready.'),
  selector: z
    .string()
    .max(1024)
    .optional()
    .describe('Label selector of the pods, for the scale subresource.'),
  starttls: z
    .string()
    .max(64)
    .optional()
    .describe('The STARTTLS policy of the listeners: one word where all agree.'),
  clientPolicies: z
    .array(z.string().max(4096))
    .max(64)
    .optional()
    .describe('Client networks that have a policy of their own, and which.'),
  certificate: certificate().optional().describe('The certificate that the pods serve.'),
  internalCertificate: certificate()
    .optional()
    .describe('The certificate that the pods serve to clients inside the cluster.'),
  sniCertificates: z
    .array(certificate().extend({ secretName: z.string().max(253).describe('The Secret that has it.') }))
    .max(MOST_SNI_CERTIFICATES)
    .optional()
    .describe(
      'The certificates that the pods serve to clients that ask for another host name (tls.certificates).',
    ),
  policyHostCertificate: certificate()
    .optional()
    .describe('The certificate with which the pods serve the policy of MTA-STS.'),
  policy: z
    .object({
      hash: z.string().max(64).optional().describe('Hash of the wanted policy.'),
      podsServing: count()
        .optional()
        .describe('Number of pods on which it is in force for every new session.'),
      oldSessions: count().optional().describe('Open sessions that still run under an earlier policy.'),
      oldSessionsEnd: z
        .string()
        .meta({ format: 'date-time' })
        .optional()
        .describe('When the last of them is ended at the latest.'),
    })
    .optional()
    .describe('How far the wanted policy is in force.'),
  dnsRecords: z
    .array(
      z.object({
        name: z.string().max(253).describe('Name of the record, without a final dot.'),
        type: z.enum(RECORD_TYPES).describe('Type of the record.'),
        ttl: count().describe('Time to live in seconds.'),
        values: z
          .array(z.string().max(2048))
          .max(16)
          .describe('Data of the records of this name and type, as in a zone file.'),
      }),
    )
    .max(128)
    .optional()
    .describe(
      'DNS records that belong to this relay: the keys of TLS and DKIM as the pods tell them, MTA-STS and TLS reporting. A DNSEndpoint has all of them, where there are more.',
    ),
  notInForce: z
    .array(z.string().max(1024))
    .max(64)
    .optional()
    .describe('Fields of the spec that this version does not enforce yet, each with what happens instead.'),
  queue: z
    .object({
      depth: count()
        .optional()
        .describe('Messages in the queues of all pods; coarse, the exact figure is a metric.'),
      held: count().optional().describe('Messages that wait for a person.'),
      oldestAge: z.string().max(16).optional().describe('Age of the oldest message; coarse.'),
      slowed: z
        .array(z.string().max(512))
        .max(10)
        .optional()
        .describe(
          'Destinations and providers that asked for fewer messages, each with the part of its pace that it gets, and its reply.',
        ),
    })
    .optional()
    .describe('The queues of all pods.'),
  plaintextClients: count()
    .optional()
    .describe(
      'Clients of the last 7 days that sent in plain text: Required would have refused them, or has refused them since.',
    ),
  tlsShare: z
    .string()
    .max(16)
    .optional()
    .describe(
      'Share of the sessions in TLS since the pods started, of all that made a TLS handshake or offered mail; absent without any.',
    ),
  outbound: z
    .object({
      deliveries: count().optional().describe('Deliveries of the last 7 days; coarse.'),
      level: shares('the strictest TLS level that they met, whatever was asked for'),
      version: shares('TLS version'),
      group: shares('key exchange group'),
      verifiedBy: shares('the proof of the next hop: DANE, MTA-STS, PKIX or nothing'),
      fellBack: shares('the reason for plain text where TLS was wanted; no: none'),
      wouldWait: z
        .array(
          z.object({
            level: z.enum(STRICTER_LEVELS).describe('A TLS level that makes mail wait.'),
            destinations: count()
              .optional()
              .describe(
                'Destinations of the last 7 days whose mail it would make wait, at most 1000 of each pod; coarse.',
              ),
            latest: z
              .array(z.string().max(512))
              .max(10)
              .optional()
              .describe('The latest of them, each with the reason.'),
          }),
        )
        .max(8)
        .optional()
        .describe(
          'Effects of stricter levels, judged on real deliveries without any consequence. A level that was never judged is absent, as Dane is where DANE is not looked up.',
        ),
    })
    .optional()
    .describe('How mail was protected on its way out in the last 7 days; absent before the first delivery.'),
  tlsReports: z
    .object({
      day: z.string().max(10).describe('The day (UTC), such as 2026-11-28.'),
      reports: count().optional().describe('Valid reports.'),
      discarded: count().optional().describe('Mails for the address that were no valid report.'),
      successes: sessions().optional().describe('Sessions that the reports call successful.'),
      failures: sessions().optional().describe('Sessions that the reports call failed.'),
    })
    .optional()
    .describe('The last day on which others sent TLS reports to inbound.tlsReports.address.'),
});

const fit = fitter(mailRelayStatus);

/** Makes a status that the API server accepts: cuts text that is too long for its field, such as quoted messages. */
export function fitStatus(status: MailRelayStatus): MailRelayStatus {
  return fit(status) as MailRelayStatus;
}

export type MailRelayStatus = z.infer<typeof mailRelayStatus>;
export type Condition = z.infer<typeof condition>;
