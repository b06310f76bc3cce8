/**
 * The MailRelay resource: the one source of truth for the CRD, the TypeScript types, the reference page and the check
 * that `mailrelay run` makes. Shapes and bounds live here; what spans several fields lives in rules.ts; what a missing
 * field means lives in effective.ts (the schema itself has one default, `replicas`, which the scale subresource
 * needs: defaults in lists or deep objects show up as drift in GitOps tools).
 */
import { z } from 'zod';
import { domains, hopHost, host, networks, objectName, port, starttls, text } from './shapes.ts';
import type { MailRelayStatus } from './status.ts';
import { TLS_LEVELS } from './tlslevel.ts';
import { DURATION_PATTERN, SIZE_PATTERN } from './units.ts';

const tls = z
  .object({
    secretName: objectName()
      .optional()
      .describe(
        'Name of the kubernetes.io/tls Secret that the relay pods mount. Default: the name of the MailRelay followed by "-tls" when issuerRef is set. A renewed Secret is served without any restart.',
      ),
    issuerRef: z
      .object({
        name: objectName().describe('Name of the cert-manager issuer.'),
        kind: z.enum(['Issuer', 'ClusterIssuer']).optional().describe('Kind of the issuer. Default: Issuer.'),
        group: text('^[a-z0-9.-]+$', 253, 'an API group')
          .optional()
          .describe('API group of the issuer. Default: cert-manager.io.'),
      })
      .optional()
      .describe(
        'The cert-manager issuer to ask for a certificate. When set, the operator owns a Certificate that fills the Secret; when absent, the Secret is yours to fill.',
      ),
    minVersion: z
      .enum(['TLSv1.2', 'TLSv1.3'])
      .optional()
      .describe('Oldest TLS version that inbound sessions may negotiate. Default: TLSv1.2.'),
  })
  .describe('The certificate of the relay. Mandatory unless every listener is Disabled for TLS.');

const listener = z.object({
  name: text(
    '^[a-z]([-a-z0-9]*[a-z0-9])?$',
    15,
    'a port name: lower-case letters, digits and hyphens',
  ).describe('Name of the listener: the name of the port on the Service.'),
  port: port().describe(
    'Port of the Service. Inside the pod, and by "mailrelay run", ports below 1024 are served at 10000 + port, so that nothing needs a privilege.',
  ),
  enabled: z.boolean().optional().describe('Whether this port is served. Default: true.'),
  starttls: starttls()
    .optional()
    .describe('STARTTLS policy of this port. Default: inbound.starttls. Not together with implicitTLS.'),
  implicitTLS: z
    .boolean()
    .optional()
    .describe(
      'TLS from the first byte (RFC 8314, port 465). Never guessed from the port number. Default: false.',
    ),
  auth: z
    .enum(['Disabled', 'Optional', 'Required'])
    .optional()
    .describe(
      'Whether clients log in here; only ever under TLS. Required refuses mail without a login, from trusted networks too. Default: Disabled.',
    ),
});

const inbound = z
  .object({
    enabled: z.boolean().optional().describe('Whether the listener task runs at all. Default: true.'),
    starttls: starttls()
      .optional()
      .describe(
        'STARTTLS policy of all listeners that name none. Disabled: never offered. Enabled (the default, and advised): offered, plain text is accepted too. Required: every sender must encrypt, others are answered "530 5.7.0"; on a public port 25 this loses mail.',
      ),
    listeners: z
      .array(listener)
      .min(1)
      .max(16)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('The ports that the relay serves.'),
    clientPolicies: z
      .array(
        z.object({
          networks: networks().describe(
            'Client networks (CIDR notation, or single addresses) this policy is for.',
          ),
          starttls: starttls().describe('STARTTLS policy for clients of these networks.'),
        }),
      )
      .max(64)
      .optional()
      .describe(
        'STARTTLS policies for given client networks: a partner that must encrypt, or old devices that cannot. The first match wins over the listener, but never weakens one with auth: Required or implicitTLS.',
      ),
    clients: z
      .object({
        networks: networks()
          .optional()
          .describe(
            'Client networks that may relay to anywhere. Only meaningful where the real client address is seen: behind a Service with externalTrafficPolicy: Cluster it may be the address of a node.',
          ),
        credentialsSecretName: objectName()
          .optional()
          .describe('Name of the Secret with the users who may log in and relay.'),
      })
      .optional()
      .describe('Who may relay to anywhere. Nobody else can; mail for acceptDomains is taken from anyone.'),
    acceptDomains: domains(256)
      .optional()
      .describe(
        'Domains whose mail is accepted from anyone. Give each a route, or a default smart host would return it.',
      ),
    limits: z
      .object({
        messageSize: text(SIZE_PATTERN, 16, 'a quantity of bytes, such as 25Mi')
          .optional()
          .describe('Largest message, as a quantity. Default: 25Mi.'),
        recipients: z
          .int()
          .min(1)
          .max(10_000)
          .optional()
          .describe('Most recipients of one message. Default: 100.'),
        connectionsPerClient: z
          .int()
          .min(1)
          .max(10_000)
          .optional()
          .describe(
            'Most open connections of one client address, per pod. Default: 50 for clients outside clients.networks, unlimited for those inside.',
          ),
        messagesPerClientPerMinute: z
          .int()
          .min(1)
          .max(1_000_000)
          .optional()
          .describe('Most messages of one client address in a minute, per pod. Default: unlimited.'),
      })
      .optional()
      .describe('Limits; beyond them a client gets a 4xx or 552 reply.'),
  })
  .describe('Receiving: the listener task. It restarts itself when anything here changes.');

const level = () => z.enum(TLS_LEVELS);
const hop = z.object({
  host: hopHost().describe('Host name or address of the next hop.'),
  port: port().optional().describe('Port of the next hop. Default: 25, or 465 with implicitTLS.'),
  implicitTLS: z
    .boolean()
    .optional()
    .describe('TLS from the first byte. Never guessed from the port. Default: false.'),
  tls: z
    .object({ level: level().describe('TLS level for this hop. See outbound.tls.level.') })
    .optional()
    .describe('TLS towards this hop. Default: the level of its route, or of outbound.tls.'),
  credentialsSecretName: objectName()
    .optional()
    .describe('Name of the Secret with the login for this hop. Without the login the hop is never used.'),
});

const outbound = z
  .object({
    tls: z
      .object({
        level: level()
          .optional()
          .describe(
            'How mail is protected on its way out. None: never TLS. Opportunistic (the default): TLS where offered, not verified, plain text where not. Encrypt: TLS or the mail waits. Verify: TLS with a verified chain and host name, or the mail waits. Dane: DNSSEC-signed TLSA match, or the mail waits.',
          ),
        discover: z
          .array(z.enum(['DANE', 'MTASTS']))
          .max(2)
          .optional()
          .describe(
            'Published policies to look up per destination; they raise the level, never lower it. Default: both. Empty: none.',
          ),
        trustConfigMapName: objectName()
          .optional()
          .describe(
            'Name of a ConfigMap with the certificates (PEM, any keys) that level Verify trusts. Default: the public roots that come with the relay. A change is taken up without any restart.',
          ),
      })
      .optional()
      .describe('TLS towards destinations that have no level of their own.'),
    smartHosts: z
      .array(hop)
      .max(16)
      .optional()
      .describe(
        'Where mail without a route goes, in order of preference. Default: the MX hosts of its domain.',
      ),
    routes: z
      .array(
        z.object({
          recipientDomains: domains(256).describe('Recipient domains, exactly as written, that go this way.'),
          hosts: z.array(hop).min(1).max(16).describe('Next hops, in order of preference.'),
          tls: z
            .object({
              level: level().describe('TLS level for the hosts of this route. See outbound.tls.level.'),
            })
            .optional()
            .describe('TLS towards the hosts of this route. Default: outbound.tls.'),
        }),
      )
      .max(256)
      .optional()
      .describe('Next hops by recipient domain.'),
  })
  .describe(
    'Delivering: the router task. It restarts itself when anything here changes; the queue survives.',
  );

const queue = z
  .object({
    mode: z
      .enum(['Durable', 'CutThrough'])
      .optional()
      .describe(
        'Durable (the default): a message is on disk before it is acknowledged. CutThrough: it is acknowledged when the next hop has it. Cannot be changed.',
      ),
    storage: z
      .object({
        size: text(SIZE_PATTERN, 16, 'a quantity of bytes, such as 25Mi')
          .optional()
          .describe('Size of the claim of each pod. Default: 1Gi. Can only grow.'),
        className: objectName()
          .optional()
          .describe('StorageClass of the claims. Default: the default class.'),
      })
      .optional()
      .describe('The volume that keeps the queue of a pod.'),
    expireAfter: text(DURATION_PATTERN, 16, 'a duration, such as 5d, 36h or 1h30m')
      .optional()
      .describe(
        'How long mail is retried before it is returned to its sender, such as 5d or 36h. Default: 5d.',
      ),
  })
  .describe('The queue of each pod.');

const service = z
  .object({
    type: z
      .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
      .optional()
      .describe('Type of the Service. Default: ClusterIP.'),
    externalTrafficPolicy: z
      .enum(['Cluster', 'Local'])
      .optional()
      .describe(
        'Local keeps the address of the client, which clients.networks and clientPolicies need. Only for NodePort and LoadBalancer. Default: Local.',
      ),
  })
  .describe('The Service that clients connect to.');

const spec = z.object({
  hostname: host().describe(
    'Host name of the relay: in the banner, in EHLO, and the name of its certificate.',
  ),
  replicas: z
    .int()
    .min(0)
    .max(100)
    .default(1)
    .describe(
      'Number of relay pods. Scaled by "kubectl scale" or by a HorizontalPodAutoscaler on the MailRelay.',
    ),
  tls: tls.optional(),
  inbound,
  outbound: outbound.optional(),
  queue: queue.optional(),
  service: service.optional(),
  trace: z
    .object({
      level: z.int().min(0).max(4).optional().describe('0: no trace (the default), up to 4: everything.'),
    })
    .optional()
    .describe('A trace of the SMTP sessions, as SMTPDebugIO has it; logins and message bodies are masked.'),
});

export const mailRelaySpec = spec;

export type MailRelaySpec = z.infer<typeof spec>;

/** A MailRelay as the API server stores it; only the metadata that this project reads. */
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
    readonly deletionTimestamp?: string;
  };
  readonly spec: MailRelaySpec;
  readonly status?: MailRelayStatus;
}
