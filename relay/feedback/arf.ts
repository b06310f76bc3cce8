/**
 * Reads a complaint of a mailbox provider out of a mail (RFC 5965, Abuse Reporting Format): multipart/report with the
 * facts for machines and the mail that somebody complained about, or its header. Providers hide what they want, so that
 * all but the type may be missing. A stranger wrote the mail: what is no address, date or name is left out, and number and
 * length of everything are bounded. Only the outermost entity counts: a report inside another mail is somebody's quote.
 * Pure.
 */
import { isIP } from 'node:net';
import { printMailbox, readGivenMailbox } from '../addresses/address.ts';
import type { Complaint } from '../delivery/courier.ts';
import {
  decodeStart,
  type Entity,
  listParts,
  readContentType,
  readFields,
  splitEntity,
} from '../headers/mimeparts.ts';
import { type Field, SECTION_BYTES } from '../headers/section.ts';

export type Feedback =
  | { readonly kind: 'complaint'; readonly said: Omit<Complaint, 'reporter' | 'reporterAddress' | 'queueId'> }
  /** `reason` completes the sentence "the mail is discarded: ...". */
  | { readonly kind: 'discarded'; readonly cause: 'no_report' | 'malformed'; readonly reason: string };

const REPORT_TYPE = /;\s*report-type\s*=\s*"?feedback-report"?\s*(?:;|$)/i;
/** RFC 6522 has three; scanners add some. */
const MOST_PARTS = 10;
const MOST_RECIPIENTS = 100;
const MOST_DOMAINS = 10;
/** The mail itself or its header, also as RFC 6533 has it. Some providers write the fourth. */
const ORIGINALS = [
  'message/rfc822',
  'text/rfc822-headers',
  'message/global',
  'message/rfc822-headers',
  'message/global-headers',
];
/** IPv6 with an IPv4 address at its end. A zone may be longer. */
const LONGEST_IP = 45;
const TYPE = /^\s*([a-z0-9-]{1,50})\s*(?:[;(]|$)/i;
const MESSAGE_ID = /^\s*<?([^\s<>]{1,250})/;
const DOMAIN = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/;
/** Outlook.com names the recipient only here, in the mail that it returns. */
const OUTLOOK_RECIPIENT = 'x-hmxmroriginalrecipient';

export function readFeedback(mail: Buffer): Feedback {
  // One character for each byte.
  const whole = splitEntity(mail.toString('latin1'));
  const { type, text } = readContentType(whole);
  if (type !== 'multipart/report' || !REPORT_TYPE.test(text))
    return discarded('no_report', 'it is no multipart/report of the type feedback-report');
  const parts = listFirst(whole);
  const at = parts.findIndex((part) => readContentType(part).type === 'message/feedback-report');
  const facts = parts[at];
  if (!facts) return discarded('no_report', 'it has no part of type message/feedback-report');
  const original = parts.slice(at + 1).find((part) => ORIGINALS.includes(readContentType(part).type));
  return readFacts(readHeader(facts), original ? readHeader(original) : []);
}

function readFacts(facts: readonly Field[], original: readonly Field[]): Feedback {
  const [feedbackType] = listValues(facts, 'feedback-type').flatMap((text) => TYPE.exec(text)?.[1] ?? []);
  if (feedbackType === undefined) return discarded('malformed', 'it has no Feedback-Type');
  const [messageId] = listValues(original, 'message-id').flatMap((text) => MESSAGE_ID.exec(text)?.[1] ?? []);
  const [from] = listAddresses(facts, 'original-mail-from');
  const [arrivedAt] = listDates(facts);
  const [sourceIp] = listValues(facts, 'source-ip')
    .map((text) => text.trim().replace(/^\[(.*)\]$/, '$1'))
    .filter((text) => text.length <= LONGEST_IP && isIP(text) !== 0);
  const told = listAddresses(facts, 'original-rcpt-to');
  const recipients = told.length > 0 ? told : listAddresses(original, OUTLOOK_RECIPIENT);
  const domains = listValues(facts, 'reported-domain').map((text) => text.trim().toLowerCase());
  return {
    kind: 'complaint',
    said: {
      feedbackType: feedbackType.toLowerCase(),
      ...(messageId === undefined ? {} : { messageId }),
      ...(from === undefined ? {} : { from }),
      recipients: recipients.filter((one) => one !== '').slice(0, MOST_RECIPIENTS),
      ...(arrivedAt === undefined ? {} : { arrivedAt }),
      reportedDomains: [...new Set(domains)].filter((one) => DOMAIN.test(one)).slice(0, MOST_DOMAINS),
      ...(sourceIp === undefined ? {} : { sourceIp }),
    },
  };
}

function listFirst(whole: Entity): Entity[] {
  const parts: Entity[] = [];
  for (const part of listParts(whole)) {
    if (parts.length === MOST_PARTS) break;
    parts.push(splitEntity(part));
  }
  return parts;
}

/** The fields with which the content of a part begins. It may be nothing but fields. */
function readHeader(part: Entity): readonly Field[] {
  const text = decodeStart(part, SECTION_BYTES / 2)
    .toString('latin1')
    .replace(/^[\r\n]+/, '')
    .replace(/\r?\n/g, '\r\n');
  return splitEntity(`${text}\r\n\r\n`).fields;
}

function listValues(fields: readonly Field[], name: string): string[] {
  return readFields(fields, name).map((text) => Buffer.from(text, 'latin1').toString());
}

/** "<>" is the empty address. */
function listAddresses(fields: readonly Field[], name: string): string[] {
  const addresses = listValues(fields, name).flatMap((text) => {
    const plain = text
      .trim()
      .replace(/^rfc822\s*;\s*/i, '')
      .replace(/^<(.*)>$/, '$1');
    if (plain === '') return text.includes('<') ? [''] : [];
    return readAddress(plain) ?? [];
  });
  return [...new Set(addresses)];
}

/** In the one form in which the relay writes it. Undefined if it is none, or has no domain. */
export function readAddress(text: string): string | undefined {
  const mailbox = readGivenMailbox(text);
  return mailbox && mailbox.domain !== '' ? printMailbox(mailbox) : undefined;
}

/** The second name is that of drafts of the RFC. */
function listDates(fields: readonly Field[]): string[] {
  return ['arrival-date', 'received-date']
    .flatMap((name) => listValues(fields, name))
    .map((text) => Date.parse(text))
    .filter((time) => time >= 0)
    .map((time) => new Date(time).toISOString());
}

function discarded(cause: 'no_report' | 'malformed', reason: string): Feedback {
  return { kind: 'discarded', cause, reason };
}
