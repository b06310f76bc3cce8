/** The outbound half of a MailRelay spec: shapes and bounds. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { hop, level, minVersion } from './hop.ts';
import { DKIM_USES } from './policyoutbound.ts';
import { providers } from './providers.ts';
import { resolver } from './resolver.ts';
import { retry } from './retry.ts';
import {
  address,
  domainPatterns,
  hopHost,
  ipFamily,
  named,
  objectName,
  port,
  senderPatterns,
  sourceAddresses,
  text,
} from './shapes.ts';

/**
 * A label of a name in a DKIM signature. It has no underscore (RFC 6376 section 3.5): verifiers ignore such signatures.
 */
const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';

const socksProxy = () =>
  z.object({
    host: hopHost().describe('Host name or address of the proxy.'),
    port: port().optional().describe('Port of the proxy. Default: 1080.'),
    credentialsSecretName: objectName()
      .optional()
      .describe(
        'Name of the Secret with username and password for the proxy (RFC 1929). They are sent in clear: keep the proxy in a network of yours. Default: no login.',
      ),
  });

const connectionsPerDestination = () => z.int().min(1).max(1_000);
const messagesPerDestinationPerMinute = () => z.int().min(1).max(1_000_000);

const route = z.object({
  recipientDomains: domainPatterns(256)
    .optional()
    .describe('Recipient domains that go this way; *.example.com stands for its sub-domains. Default: any.'),
  senders: senderPatterns(256)
    .optional()
    .describe('Senders whose mail goes this way: domains, *.example.com, or addresses. Default: any.'),
  hosts: z
    .array(hop)
    .min(1)
    .max(16)
    .optional()
    .describe('Next hops. Default: the MX hosts of the recipient domain.'),
  tls: z
    .object({
      level: level().optional().describe('TLS level for the hosts of this route. See outbound.tls.level.'),
      minVersion: minVersion('outbound.tls'),
    })
    .optional()
    .describe('TLS towards the hosts of this route. Default: outbound.tls.'),
  socksProxy: socksProxy()
    .optional()
    .describe(
      'SOCKS5 proxy (RFC 1928) of all connections of this route. Default: none, whatever outbound.socksProxy says.',
    ),
  limits: z
    .object({
      connectionsPerDestination: connectionsPerDestination()
        .optional()
        .describe(
          'Most connections to one destination of this route at a time, per pod. Default: that of outbound.limits.',
        ),
      messagesPerDestinationPerMinute: messagesPerDestinationPerMinute()
        .optional()
        .describe(
          'Most messages to one destination of this route in a minute, per pod. Default: that of outbound.limits.',
        ),
    })
    .optional()
    .describe(
      'How hard destinations of this route are used. The hosts of a route are one destination; by MX each domain is one. Default: outbound.limits.',
    ),
  retry: retry('that of the provider, or the schedule of the relay').optional(),
  sourceAddresses: sourceAddresses()
    .optional()
    .describe(
      'Addresses that connections of this route come from. See outbound.sourceAddresses. Default: those.',
    ),
});

export const dkimDomain = () =>
  named(
    `^${LABEL}(\\.${LABEL})+$`,
    253,
    'a domain of at least two labels of lower-case letters, digits and hyphens, such as example.com',
  );
export const dkimSelector = () =>
  text(
    `^${LABEL}(\\.${LABEL})*$`,
    63,
    'a DKIM selector: labels of lower-case letters, digits and hyphens, with dots between',
  );

export const outbound = z
  .object({
    tls: z
      .object({
        level: level()
          .optional()
          .describe(
            'How mail is protected on its way out. None: never TLS. Opportunistic (the default): TLS where offered, not verified, plain text where not. Encrypt: TLS or the mail waits. Verify: TLS with a verified chain and host name, or the mail waits. Dane: DNSSEC-signed TLSA match, or the mail waits; needs outbound.resolver with a sidecar or trustAD.',
          ),
        discover: z
          .array(z.enum(['DANE', 'MTASTS']))
          .max(2)
          .optional()
          .describe(
            'Published policies to look up per destination; they raise the level, never lower it. Default: MTASTS, and DANE where outbound.resolver has a sidecar or trustAD, which DANE needs. Empty: none. What is asked for and not looked up is named in status.notInForce.',
          ),
        minVersion: z
          .enum(['TLSv1.2', 'TLSv1.3'])
          .optional()
          .describe(
            'Oldest TLS version from level Encrypt on; a route or a hop may have its own. At Opportunistic any encryption is better than none: TLS 1.0 and every cipher that encrypts is taken. Default: TLSv1.2.',
          ),
        clientCertificateSecretName: objectName()
          .optional()
          .describe(
            'Name of a kubernetes.io/tls Secret that the relay presents to hosts that ask for a certificate: MX hosts, and next hops without a Secret of their own. A renewed Secret is used without any restart. Default: none.',
          ),
        reports: z
          .object({
            enabled: z.boolean().optional().describe('False: count nothing and send nothing. Default: true.'),
            from: address().describe(
              'Sender of the reports. Reports by mail need a key of outbound.dkim for its domain; without one only reports by HTTPS are sent.',
            ),
            contact: text('^[!-~]([ -~]*[!-~])?$', 320, 'a line of ASCII, such as postmaster@example.com')
              .optional()
              .describe('Contact for questions of the reported domain: an address or a URL. Default: from.'),
          })
          .optional()
          .describe(
            'Daily TLS reports (RFC 8460) to the domains that publish where they want them: how many sessions to their MX hosts were encrypted, and why others were not. Each pod reports its own part. Default: none, because a report needs a sender.',
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
      .describe('Where mail without a route goes. Default: the MX hosts of its domain.'),
    routes: z
      .array(route)
      .max(256)
      .optional()
      .describe('Next hops by recipient domain and sender; the first route that matches is taken.'),
    ipFamily: ipFamily()
      .optional()
      .describe(
        'Addresses of next hops that are used, and in which order. Default: Any, as the resolver orders them.',
      ),
    sourceAddresses: sourceAddresses()
      .optional()
      .describe(
        'Addresses of the pod that connections to next hops come from: one IPv4 address, one IPv6 address, or both. Hosts are reached in these families only. Mail waits while the pod does not have the address. Default: the system chooses.',
      ),
    socksProxy: socksProxy()
      .optional()
      .describe(
        'SOCKS5 proxy (RFC 1928) of connections to smart hosts, and to MX hosts without a route. The relay looks names up itself, and the proxy gets addresses. Mail waits while the proxy cannot be had. Default: none.',
      ),
    resolver: resolver.optional(),
    dkim: z
      .array(
        z.object({
          domain: dkimDomain().describe('Domain that signs (d=): for messages whose From is in it or below.'),
          selector: dkimSelector().describe(
            'Selector (s=): the key is published at SELECTOR._domainkey.DOMAIN.',
          ),
          secretName: objectName().describe(
            'Name of the Secret whose key private.key has the private key (PEM), RSA or Ed25519.',
          ),
          use: z
            .enum(DKIM_USES)
            .optional()
            .describe(
              'Sign (the default): the key signs, and its DNS record is listed. Publish: its DNS record is listed, and it signs nothing: before its first signature, and after its last one.',
            ),
        }),
      )
      .max(64)
      .optional()
      .describe(
        'DKIM signatures (RFC 6376) for mail of those who may relay. Several keys of a domain all sign, but for those in use Publish. Mail waits while its key cannot be used.',
      ),
    limits: z
      .object({
        connectionsPerDestination: connectionsPerDestination()
          .optional()
          .describe('Most connections to one destination at a time, per pod. Default: 20.'),
        messagesPerConnection: z
          .int()
          .min(1)
          .max(100_000)
          .optional()
          .describe('Messages after which a connection is ended. Default: 100.'),
        messagesPerDestinationPerMinute: messagesPerDestinationPerMinute()
          .optional()
          .describe('Most messages to one destination in a minute, per pod. Default: unlimited.'),
      })
      .optional()
      .describe('How hard destinations are used.'),
    providers: providers.optional(),
  })
  .describe(
    'Delivering: the router task. It restarts itself when anything here changes; the queue survives.',
  );
