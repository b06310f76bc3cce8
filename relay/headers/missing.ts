/** The fields that a submitted message must have: Date and Message-ID (RFC 6409 sections 8.2 and 8.3). Pure. */
import { formatDate } from './date.ts';
import type { Trace } from './received.ts';

/** The text of the fields that the message lacks. The queue id makes the Message-ID unique. */
export function missingFields(
  has: (name: string) => boolean,
  { at, queueId, hostname }: Pick<Trace, 'at' | 'queueId' | 'hostname'>,
): string {
  const date = has('date') ? '' : `Date: ${formatDate(at)}\r\n`;
  const id = has('message-id') ? '' : `Message-ID: <${queueId}@${hostname}>\r\n`;
  return date + id;
}
