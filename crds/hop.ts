/** The shape of a next hop in the spec, and of the TLS terms that hops and routes share. Part of outbound.ts. */
import { z } from 'zod';
import { HOP_PROTOCOLS, PROXY_VERSIONS } from './policyoutbound.ts';
import { hopHost, ipFamily, objectName, port } from './shapes.ts';
import { TLS_LEVELS, TLS_VERSIONS } from './tlslevel.ts';

export const level = () => z.enum(TLS_LEVELS);

export const minVersion = (whose: string) =>
  z
    .enum(TLS_VERSIONS)
    .optional()
    .describe(
      `Oldest TLS version from level Encrypt on; below TLSv1.2 only for old peers that know no better. Default: that of ${whose}.`,
    );

export const hop = z.object({
  host: hopHost().describe(
    'Host name or address of the next hop. A name with a final dot is absolute: the search list of the pod is not asked.',
  ),
  port: port()
    .optional()
    .describe('Port of the next hop. Default: 25, or 465 with implicitTLS. Must be set with protocol LMTP.'),
  protocol: z
    .enum(HOP_PROTOCOLS)
    .optional()
    .describe(
      'Protocol of the next hop. LMTP (RFC 2033) is for a mail store such as Dovecot or Cyrus: it answers for each recipient after the message. Default: SMTP.',
    ),
  implicitTLS: z
    .boolean()
    .optional()
    .describe('TLS from the first byte. Never guessed from the port. Default: false.'),
  priority: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe(
      'Hosts of the lowest priority are tried first, the next ones when none of them can be had. Default: 0.',
    ),
  weight: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe(
      'Share of the deliveries among hosts of the same priority; 1 where only others have one. Default: without any weight the order of the list decides.',
    ),
  tls: z
    .object({
      level: level().optional().describe('TLS level for this hop. See outbound.tls.level.'),
      minVersion: minVersion('its route, or of outbound.tls'),
      serverName: hopHost()
        .optional()
        .describe('Name that the certificate must have, and that SNI asks for. Default: host.'),
      trustConfigMapName: objectName()
        .optional()
        .describe(
          'Name of a ConfigMap with the authorities of this hop. Default: outbound.tls.trustConfigMapName.',
        ),
      clientCertificateSecretName: objectName()
        .optional()
        .describe(
          'Name of a kubernetes.io/tls Secret that the relay presents to this hop. Default: outbound.tls.clientCertificateSecretName.',
        ),
    })
    .optional()
    .describe('TLS towards this hop. Default: the level of its route, or of outbound.tls.'),
  credentialsSecretName: objectName()
    .optional()
    .describe(
      'Name of the Secret with the login for this hop: username and password (PLAIN, LOGIN), or for XOAUTH2 username and token; or username, clientId, tokenURL and clientSecret (or tls.crt and tls.key) of an app of Microsoft 365, with refreshToken for a user who has logged in; or username and serviceAccountKey of Google. Sent only under TLS. Without it the hop is never used.',
    ),
  proxyProtocol: z
    .object({
      version: z
        .enum(PROXY_VERSIONS)
        .describe('Version of the header, as the host expects it: V1 is a line of text, V2 is binary.'),
    })
    .optional()
    .describe(
      'PROXY protocol of HAProxy, for a host that expects it: each connection begins with a header, before the greeting and before TLS. It has the address of the relay pod, not that of a client. Default: no header.',
    ),
  ipFamily: ipFamily()
    .optional()
    .describe('Addresses of this hop that are used. Default: outbound.ipFamily.'),
});
