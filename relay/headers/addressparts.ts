/** The header fields of the parts of a map (`addresses.sender.parts`, `addresses.recipient.parts`). Pure. */
import type { RECIPIENT_PARTS, SENDER_PARTS } from '#crds/addresspolicy.ts';

export type Part = (typeof SENDER_PARTS)[number] | (typeof RECIPIENT_PARTS)[number];

const FIELDS: Readonly<Record<Part, readonly string[]>> = {
  Envelope: [],
  From: ['from', 'resent-from'],
  Sender: ['sender', 'resent-sender'],
  ReplyTo: ['reply-to'],
  To: ['to', 'resent-to'],
  Cc: ['cc', 'resent-cc'],
};

/** Names in lower case. */
export function listFields(parts: readonly Part[]): ReadonlySet<string> {
  return new Set(parts.flatMap((part) => FIELDS[part]));
}
