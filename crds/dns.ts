/**
 * The DNS records of a relay: shapes and bounds. Part of the single source, see mailrelay.ts. The records themselves are
 * in the status, and on request in an object for external-dns.
 */
import { z } from 'zod';
import { RECORD_TYPES } from './dnsrecords.ts';
import { domainPatterns, duration, port, text } from './shapes.ts';
import { pairSource } from './tls.ts';

export const dns = z
  .object({
    publish: z
      .enum(['None', 'DNSEndpoint'])
      .optional()
      .describe(
        'Who gets the records besides the status. DNSEndpoint: the operator writes them into an object of that kind, named after the MailRelay, from which external-dns brings them into DNS. None (the default): you publish what status.dnsRecords has.',
      ),
    recordTypes: z
      .array(z.enum(RECORD_TYPES))
      .min(1)
      .max(RECORD_TYPES.length)
      .optional()
      .describe(
        'Types of records that go into the DNSEndpoint. Leave TLSA out where your provider of external-dns does not know it: you then publish these records; leave CNAME out where mta-sts.DOMAIN has addresses of its own. Default: all.',
      ),
    ttl: duration().optional().describe('Time to live of the records, from 1m to 7d. Default: 1h.'),
    tlsa: z
      .boolean()
      .optional()
      .describe(
        'A TLSA record 3 1 1 for each port that can encrypt, so that senders with DANE verify the relay (RFC 7672); the zone of hostname must be signed. A renewed certificate then keeps its key; another tls.secretName rolls the key over. Default: false.',
      ),
    mtaSTS: z
      .object({
        mode: z
          .enum(['Testing', 'Enforce', 'None'])
          .describe(
            'Testing: senders report what would fail. Enforce: they deliver only to an MX host that they can verify. None: they forget an earlier policy.',
          ),
        maxAge: duration()
          .optional()
          .describe('How long senders keep the policy, at most 365d. Default: 30d.'),
        mx: domainPatterns(32)
          .optional()
          .describe(
            'MX hosts of the domains; *.example.com stands for one label more. Default: hostname alone.',
          ),
        serve: z
          .object({
            ...pairSource('-mta-sts-tls'),
            port: port()
              .optional()
              .describe(
                'Port of the Service. Senders ask at 443 and nowhere else: another port needs a proxy of yours before it that passes TLS on. Default: 443.',
              ),
          })
          .optional()
          .describe(
            'The relay pods serve the policy: https://mta-sts.DOMAIN/.well-known/mta-sts.txt for each domain of inbound.acceptDomains. The certificate must have all these names and be one that the public trusts. A new id is published when every pod serves the new policy. Default: you serve the file yourself.',
          ),
      })
      .optional()
      .describe(
        'MTA-STS (RFC 8461) for the domains of inbound.acceptDomains: the record _mta-sts.DOMAIN, with an id that changes with the policy. Default: none.',
      ),
    tlsReports: z
      .object({
        rua: z
          .array(
            text(
              "^(mailto:[A-Za-z0-9.#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9.-]{1,253}|https://[A-Za-z0-9._~:/?#@$&'()*+=%-]{1,500})$",
              512,
              'a URI such as mailto:tlsrpt@example.com or https://example.com/tlsrpt',
            ),
          )
          .min(1)
          .max(8)
          .describe('Where senders send their TLS reports: mailto: or https:.'),
      })
      .optional()
      .describe(
        'TLS reports (RFC 8460) for the domains of inbound.acceptDomains: the record _smtp._tls.DOMAIN. Default: none.',
      ),
  })
  .describe(
    'The DNS records that belong to this relay. Those of the DKIM keys are in status.dnsRecords without it.',
  );
