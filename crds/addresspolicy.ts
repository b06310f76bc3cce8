/** What the policy file says of the addresses of mail: maps, SRS, copies. A part of policyfile.ts. */
import { z } from 'zod';

/** Places where an address is rewritten: the envelope, and header fields. */
export const SENDER_PARTS = ['Envelope', 'From', 'Sender', 'ReplyTo'] as const;
export const RECIPIENT_PARTS = ['Envelope', 'To', 'Cc'] as const;
/** `Submitted`: only mail of those who may relay. */
export const REWRITTEN_MAIL = ['Submitted', 'All'] as const;

const objectName = z.string();

const addressMap = z.strictObject({
  /** An address, @domain, @*.domain or *. Either `to` is not empty, or `refuse` is a text. */
  entries: z.array(
    z.strictObject({ address: z.string(), to: z.array(z.string()), refuse: z.string().nullable() }),
  ),
  /** In order, after the entries. */
  tables: z.array(
    z.strictObject({ kind: z.enum(['Secret', 'ConfigMap']), name: objectName, key: z.string() }),
  ),
});

export const addresses = z.strictObject({
  sender: z.strictObject({
    map: addressMap,
    parts: z.array(z.enum(SENDER_PARTS)),
    mail: z.enum(REWRITTEN_MAIL),
  }),
  recipient: z.strictObject({
    map: addressMap,
    parts: z.array(z.enum(RECIPIENT_PARTS)),
    headersOf: z.enum(REWRITTEN_MAIL),
  }),
  /** null: mail goes to its recipients. */
  sendAllTo: z.string().nullable(),
  /** Senders of forwarded mail; null: they stay. */
  srs: z.strictObject({ domain: z.string(), secret: objectName }).nullable(),
  senderBcc: addressMap,
  recipientBcc: addressMap,
});

export type AddressMap = z.infer<typeof addressMap>;
