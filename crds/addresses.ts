/** `spec.addresses`: shapes and bounds. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { RECIPIENT_PARTS, REWRITTEN_MAIL, SENDER_PARTS } from './addresspolicy.ts';
import { address, host, LONGEST_ADDRESS, named, objectName, text, UNSEEN_CHARACTERS } from './shapes.ts';

/** A domain in ASCII or in its own letters (IDN), in lower case. The relay looks closer. */
const IN_LABEL = `${UNSEEN_CHARACTERS}@.*%!,;:<>()\\[\\]"\\\\/A-Z`;
const LABEL = `[^-${IN_LABEL}]([^${IN_LABEL}]{0,61}[^-${IN_LABEL}])?`;
const DOMAIN = `${LABEL}(\\.${LABEL})*`;
const LOCAL = `("[^"\\\\<>\\x00-\\x1f\\x7f-\\x9f]+"|[^@"%!\\\\:;,<>()\\[\\]${UNSEEN_CHARACTERS}]+)`;

const pattern = () =>
  named(
    `^${LOCAL}@${DOMAIN}$|^@(\\*\\.)?${DOMAIN}$|^\\*$`,
    LONGEST_ADDRESS,
    'an address whose domain is in lower case, @example.com for all of a domain, @*.example.com for all below it, or * for every address',
  ).describe(
    'Address that is looked up: one address, @example.com for all of a domain, @*.example.com for all of its sub-domains, or * for every address. The closest one counts, in this order. Case does not matter.',
  );
const target = (local = LOCAL) =>
  named(
    `^${local}?@${DOMAIN}$`,
    LONGEST_ADDRESS,
    'an address whose domain is in lower case, or @example.com to keep the part before the @',
  );
/** Other servers may read these as routing, so no recipient has them, in quotes either. */
const recipientTarget = () => target(LOCAL.replace('"[^"', '"[^"@%!:;,'));
const refusal = () =>
  text('^[!-~]([ -~]*[!-~])?$', 200, 'one line of ASCII that neither begins nor ends with a blank')
    .optional()
    .describe(
      'Text of the refusal that clients get for the address, by 550, or by 450 if it begins with a code such as 4.7.1. In place of to.',
    );

const entries = <Entry extends z.ZodType>(entry: Entry) =>
  z.array(entry).min(1).max(64).optional().describe('Entries for few addresses.');

const tables = () =>
  z
    .array(
      z.object({
        configMapName: objectName().optional().describe('Name of the ConfigMap. In place of secretName.'),
        secretName: objectName().optional().describe('Name of the Secret. In place of configMapName.'),
        key: text(
          '^[-._a-zA-Z0-9]+$',
          253,
          'a key of a ConfigMap: letters, digits, hyphens, dots and underscores',
        ).describe('Key with the table, as text or compressed by gzip (in binaryData of a ConfigMap).'),
      }),
    )
    .min(1)
    .max(16)
    .optional()
    .describe(
      "Tables for many addresses, in Postfix's format: a line for each, an address or pattern, blanks, then addresses, or REJECT and a text. They are looked up after the entries, in this order. A change is used at once; a table with a wrong line is not taken, the last good one stays.",
    );

const single = z.object({
  address: pattern(),
  to: target()
    .optional()
    .describe('Address in its place, or @example.com to replace only the domain. In place of refuse.'),
  refuse: refusal(),
});
const several = z.object({
  address: pattern(),
  to: z
    .array(recipientTarget())
    .min(1)
    .max(32)
    .optional()
    .describe(
      'Addresses in its place (an alias), or @example.com to replace only the domain. They are looked up again, unless an address stands for itself. In place of refuse.',
    ),
  refuse: refusal(),
});
const copies = () =>
  z
    .object({
      entries: entries(
        z.object({
          address: pattern(),
          to: z
            .array(recipientTarget())
            .min(1)
            .max(32)
            .describe('Addresses that get a copy, or @example.com to keep the part before the @.'),
        }),
      ),
      tables: tables(),
    })
    .optional();

export const addresses = z
  .object({
    sender: z
      .object({
        entries: entries(single),
        tables: tables(),
        parts: z
          .array(z.enum(SENDER_PARTS))
          .min(1)
          .max(SENDER_PARTS.length)
          .optional()
          .describe(
            'Places where senders are rewritten: the envelope (MAIL FROM), and the header fields From, Sender and Reply-To. Default: all.',
          ),
        mail: z
          .enum(REWRITTEN_MAIL)
          .optional()
          .describe(
            'Mail whose senders are rewritten. Submitted (the default): mail of those who may relay. All: mail of others too; a changed header breaks its signatures.',
          ),
      })
      .optional()
      .describe('Rewriting of senders. The null sender of bounces never changes.'),
    recipient: z
      .object({
        entries: entries(several),
        tables: tables(),
        parts: z
          .array(z.enum(RECIPIENT_PARTS))
          .min(1)
          .max(RECIPIENT_PARTS.length)
          .optional()
          .describe(
            'Places where recipients are rewritten: the envelope (RCPT TO) of all mail, and the header fields To and Cc, where one address stands for one. Default: Envelope.',
          ),
        headersOf: z
          .enum(REWRITTEN_MAIL)
          .optional()
          .describe(
            'Mail whose To and Cc are rewritten. Submitted (the default): mail of those who may relay. All: mail of others too, which breaks its signatures.',
          ),
      })
      .optional()
      .describe(
        'Rewriting of recipients: aliases, moved addresses, refused addresses. Who may relay is decided by the address as the client gave it.',
      ),
    sendAllTo: address()
      .optional()
      .describe(
        'Address that gets all mail in place of its recipients, copies included, such as the box of a staging system. The header field X-Original-To has each recipient that the client gave.',
      ),
    srs: z
      .object({
        domain: host().describe(
          'Domain of the new senders; one of inbound.acceptDomains, so that bounces come back to this relay.',
        ),
        secretName: objectName().describe(
          'Name of the Secret whose key "key" signs. After a roll-over, the key "previous" still verifies.',
        ),
      })
      .optional()
      .describe(
        'Sender Rewriting Scheme for forwarded mail: mail that addresses.recipient leads to a domain outside inbound.acceptDomains, from a sender outside of them. It gets a sender in the domain here, so that it passes SPF; bounces within 21 days go on to the original sender. Only the envelope changes. A copy beside other recipients keeps the sender, so that they see who wrote to them.',
      ),
    bcc: z
      .object({
        sender: copies().describe('Copies by the sender, as it is after the rewriting.'),
        recipient: copies().describe('Copies by a recipient, as the client gave it.'),
      })
      .optional()
      .describe('Copies of some mail. inbound.alwaysBcc gets a copy of all mail.'),
  })
  .describe('Addresses that the relay writes anew, in the envelope and in header fields.');
