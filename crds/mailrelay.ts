/**
 * The MailRelay resource: the single source for the CRD, the TypeScript types, the reference page and the checks of
 * `mailrelay run`. Shapes and bounds are here, in tls.ts, inbound.ts, outbound.ts, dns.ts, addresses.ts, headers.ts, queue.ts
 * and workload.ts. Rules over several fields are in rules.ts. Defaults are in effective.ts. The schema has only one default, `replicas`, which the scale
 * subresource needs, because defaults in lists or deep objects show up as drift in GitOps tools.
 */
import { z } from 'zod';
import { addresses } from './addresses.ts';
import { dns } from './dns.ts';
import { headers } from './headers.ts';
import { inbound } from './inbound.ts';
import { LOG_ADDRESSES, LOG_LEVELS } from './logging.ts';
import { outbound } from './outbound.ts';
import { queue } from './queue.ts';
import { MOST_REPLICAS } from './scalefile.ts';
import { domainPatterns, host, networks, objectName, text } from './shapes.ts';
import type { MailRelayStatus } from './status.ts';
import { tls } from './tls.ts';
import { events } from './webhook.ts';
import { networkPolicy, pod, podDisruptionBudget, podMonitor, service, serviceAccount } from './workload.ts';

const spec = z.object({
  hostname: host().describe(
    'Host name of the relay: in the banner, in EHLO, and the name of its certificate.',
  ),
  replicas: z
    .int()
    .min(0)
    .max(MOST_REPLICAS)
    .default(1)
    .describe(
      'Number of relay pods. Scaled by "kubectl scale" or by a HorizontalPodAutoscaler on the MailRelay.',
    ),
  className: objectName()
    .optional()
    .describe(
      'Which operator looks after it, as with an IngressClass: the one whose className this is. Default: those with defaultClass.',
    ),
  tls: tls.optional(),
  inbound,
  outbound: outbound.optional(),
  dns: dns.optional(),
  addresses: addresses.optional(),
  headers: headers.optional(),
  queue: queue.optional(),
  events: events.optional(),
  pod: pod.optional(),
  service: service.optional(),
  serviceAccount: serviceAccount.optional(),
  networkPolicy: networkPolicy.optional(),
  podDisruptionBudget: podDisruptionBudget.optional(),
  podMonitor: podMonitor.optional(),
  logging: z
    .object({
      level: z
        .enum(LOG_LEVELS)
        .optional()
        .describe(
          'The least level of the lines in the log. error: a person must act. warn: refusals, deferrals and bounces too. info (the default): mail and transitions too. debug: all.',
        ),
      addresses: z
        .enum(LOG_ADDRESSES)
        .optional()
        .describe(
          'Mail addresses in the log. Full (the default): as they are. Domain: only the domain. Hash: a name in place of the local part, the same for the same address as long as the pod has its volume. The trace is not concerned.',
        ),
    })
    .optional()
    .describe('Content of the log of the pods.'),
  trace: z
    .object({
      level: z
        .int()
        .min(0)
        .max(4)
        .optional()
        .describe(
          '0: none (the default). 1: sessions and TLS facts. 2: commands and replies too. 3: their byte counts too. 4: byte counts of message bodies too.',
        ),
      networks: networks()
        .optional()
        .describe('Only sessions of clients in these networks. Default: all clients.'),
      recipientDomains: domainPatterns(64)
        .optional()
        .describe('Only deliveries to these domains. Default: all deliveries.'),
      until: text(
        '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$',
        20,
        'a time in UTC, such as 2026-01-31T18:00:00Z',
      )
        .optional()
        .describe(
          'When the trace stops by itself, such as 2026-01-31T18:00:00Z. Default: when level is 0 again.',
        ),
    })
    .optional()
    .describe(
      'A trace of the SMTP sessions in the log, as SMTPDebugIO has it; logins and message bodies are masked.',
    ),
});

export const mailRelaySpec = spec;

export type MailRelaySpec = z.infer<typeof spec>;

/** A MailRelay as the API server stores it, with only the metadata that this project reads. */
export interface MailRelay {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: MailRelaySpec;
  readonly status?: MailRelayStatus;
}
