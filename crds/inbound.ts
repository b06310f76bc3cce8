/** The inbound half of a MailRelay spec: shapes and bounds. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { authenticationResults } from './authenticationresults.ts';
import { clients } from './clients.ts';
import { filter, listenerFilter } from './contentfilter.ts';
import { peers } from './peers.ts';
import {
  address,
  domains,
  duration,
  lineEndings,
  networks,
  port,
  positiveSize,
  starttls,
  text,
} from './shapes.ts';
import { TLS_VERSIONS } from './tlslevel.ts';

const listener = z.object({
  name: text(
    '^[a-z]([-a-z0-9]*[a-z0-9])?$',
    15,
    'a port name: lower-case letters, digits and hyphens',
  ).describe('Name of the listener: the name of the port on the Service.'),
  port: port().describe(
    'Port of the Service. Inside the pod, and by "mailrelay run", ports below 1024 are served at 10000 + port, so that nothing needs a privilege.',
  ),
  nodePort: port()
    .optional()
    .describe(
      'Port of this listener on every node. Only with service.type NodePort or LoadBalancer. Default: Kubernetes chooses one.',
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
  lineEndings: lineEndings()
    .optional()
    .describe('Treatment of lines that do not end in CRLF. Default: inbound.lineEndings.'),
  auth: z
    .enum(['Disabled', 'Optional', 'Required'])
    .optional()
    .describe(
      'Whether clients log in here; only ever under TLS. Required refuses mail without a login, from trusted networks too; a client certificate that may relay counts as one. Default: Disabled.',
    ),
  proxyProtocol: z
    .object({
      networks: networks().describe(
        'Networks of the proxies. A connection from one must begin with a PROXY header (version 1 or 2), which gives the address of the client; one from elsewhere must not.',
      ),
    })
    .optional()
    .describe('The PROXY protocol of HAProxy and of many cloud load balancers.'),
  allowFrom: peers()
    .optional()
    .describe(
      'Peers that may connect to this port, as in a NetworkPolicy: pods, namespaces and networks. It becomes part of the NetworkPolicy of the pods, which the network of the cluster enforces; a Service that hides addresses (NodePort, LoadBalancer) may show a node instead of a pod. Default: anybody.',
    ),
  clients: clients()
    .optional()
    .describe('Clients that may relay on this port. Default: inbound.clients; not merged with it.'),
  filter: listenerFilter().optional(),
});

const count = (max: number) => z.int().min(1).max(max);

const limits = z.object({
  messageSize: positiveSize().optional().describe('Largest message, as a quantity. Default: 25Mi.'),
  recipients: count(10_000).optional().describe('Most recipients of one message. Default: 100.'),
  connections: count(100_000).optional().describe('Most open connections, per pod. Default: 10000.'),
  connectionsPerClient: count(100_000)
    .optional()
    .describe(
      'Most open connections of one client, per pod: an address, or the /64 of IPv6 outside clients.networks. Default: 50 for clients outside clients.networks, unlimited for those inside.',
    ),
  messagesPerClientPerMinute: count(1_000_000)
    .optional()
    .describe(
      'Most messages of one client in a minute, per pod: an address, or the /64 of IPv6 outside clients.networks. Default: unlimited.',
    ),
  messagesPerLoginPerMinute: count(1_000_000)
    .optional()
    .describe('Most messages of one login in a minute, per pod. Default: unlimited.'),
  errorsPerSession: count(10_000)
    .optional()
    .describe('Refused commands and recipients after which a session ends. Default: 50.'),
  idleTimeout: duration()
    .optional()
    .describe(
      'How long a session may go without a complete command, or a message without a byte. Default: 5m (RFC 5321 section 4.5.3.2.7).',
    ),
  messageTimeout: duration()
    .optional()
    .describe('How long the bytes of one message may take to arrive. Default: 30m.'),
});

export const inbound = z
  .object({
    enabled: z.boolean().optional().describe('Whether the listener task runs at all. Default: true.'),
    starttls: starttls()
      .optional()
      .describe(
        'STARTTLS policy of all listeners that name none. Disabled: never offered. Enabled (the default, and advised): offered, plain text is accepted too. Required: every sender must encrypt, others are answered "530 5.7.0"; on a public port 25 this loses mail.',
      ),
    lineEndings: lineEndings()
      .optional()
      .describe(
        'Treatment of lines that do not end in CRLF. Strict (the default): a message with a bare CR, a bare LF or a NUL is refused by 554. Normalize: a bare LF ends a line and is written as CRLF, a bare CR becomes a blank, a NUL goes; only CRLF.CRLF ends a message. Normalize is for scripts and devices; it changes signed messages.',
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
          starttls: starttls()
            .optional()
            .describe('STARTTLS policy for clients of these networks. Default: that of the listener.'),
          minVersion: z
            .enum(TLS_VERSIONS)
            .optional()
            .describe(
              'Oldest TLS version for clients of these networks; below TLSv1.2 only for old devices that know no better. Default: tls.minVersion.',
            ),
          lineEndings: lineEndings()
            .optional()
            .describe(
              'Treatment of lines that do not end in CRLF, for clients of these networks. Default: that of the listener.',
            ),
        }),
      )
      .max(64)
      .optional()
      .describe(
        'Policies for given client networks: a partner that must encrypt, or old devices that cannot. The first match wins over the listener, but never weakens one with auth: Required or implicitTLS.',
      ),
    clients: clients()
      .optional()
      .describe(
        'Clients that may relay to any destination. Other clients may not; mail for acceptDomains is taken from every client.',
      ),
    acceptDomains: domains(256)
      .optional()
      .describe(
        'Domains whose mail is accepted from anyone. Give each a route, or a default smart host would return it.',
      ),
    masqueradeDomains: domains(64)
      .optional()
      .describe(
        'Domains that hide their hosts: user@host.example.com becomes user@example.com, in the envelope sender and in the From, Sender and Reply-To headers of those who may relay.',
      ),
    alwaysBcc: address()
      .optional()
      .describe(
        'An address that gets a copy of every message. Outside of acceptDomains it gets mail of others from their own senders, so its host must take mail of this relay that fails SPF.',
      ),
    tlsReports: z
      .object({
        address: address().describe(
          'Mailbox for the reports, such as tls-reports@relay.example.com: the "rua" of the records _smtp._tls of your domains. Its domain needs no place in acceptDomains.',
        ),
      })
      .optional()
      .describe(
        'TLS reports that others send about your domains (RFC 8460). Mail for the address is taken from anyone and ends here: verified by DKIM, counted in metrics, told once a day, shown by "mailrelay tlsrpt received". Nobody gets an answer.',
      ),
    feedbackReports: z
      .object({
        address: address().describe(
          'Mailbox for the reports, such as complaints@relay.example.com: the one that you give to the feedback loops of mailbox providers. Its domain needs no place in acceptDomains.',
        ),
      })
      .optional()
      .describe(
        'Complaints that mailbox providers send about your mail (RFC 5965, ARF). Mail for the address is taken from anyone and ends here: verified by DKIM, counted in metrics, told as event mail.complained. Nobody gets an answer.',
      ),
    filter: filter().optional(),
    authenticationResults: authenticationResults().optional(),
    limits: limits.optional().describe('Limits; beyond them a client gets a 421, 450, 452 or 552 reply.'),
  })
  .describe('Receiving: the listener task. It restarts itself when anything here changes.');
