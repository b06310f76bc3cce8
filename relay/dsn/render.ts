/**
 * Renders the report to a sender as bytes: a multipart/report (RFC 6522) with text for people, a delivery status for
 * programs (RFC 3464, 3461), and the header of the original message, or all of it if the sender wanted that. A report
 * is ASCII, so every host accepts it. Only a report to an address beyond ASCII is international (RFC 6533). Foreign
 * content (addresses, replies, the original) can never end a line or a part. Pure.
 */
import { cutText } from '#crds/cut.ts';
import { tellSender } from '#crds/failure.ts';
import { encodeOctets } from '../addresses/xtext.ts';
import { isAscii, isPlain, renderPart } from './encoding.ts';
import type { DsnRecipient, ReportKind } from './recipient.ts';

export interface ReportFacts {
  readonly kind: ReportKind;
  /** Names the report in its Message-ID and its boundary. */
  readonly reportId: string;
  /** The queue id of the reported message. */
  readonly queueId: string;
  readonly hostname: string;
  readonly sender: string;
  readonly envid: string | undefined;
  readonly now: Date;
  readonly receivedAt: Date;
  /** The hop that gave the result. null: this relay. */
  readonly hop: string | null;
  readonly dsnRecipients: readonly DsnRecipient[];
  readonly original: {
    readonly kind: 'headers' | 'message';
    readonly bytes: Buffer;
    /** The sender declared that the header may have UTF-8. */
    readonly smtpUtf8: boolean;
  };
}

/** RFC 5322 section 2.1.1. */
const LINE_CHARS = 998;

const WORDS: Readonly<Record<ReportKind, { subject: string; action: string; opening: string }>> = {
  failure: {
    subject: 'Undelivered mail returned to sender',
    action: 'failed',
    opening: 'Your message could not be delivered to the recipients below. It will not be tried again.',
  },
  delay: {
    subject: 'Delayed mail',
    action: 'delayed',
    opening: 'Your message is late. You need not send it again: it is still being tried.',
  },
  'success-relayed': {
    subject: 'Mail passed on',
    action: 'relayed',
    opening:
      'Your message was passed on to a mail system that does not tell what becomes of it. You will hear no more of it from here.',
  },
};

/** True if only a host with SMTPUTF8 can take the report, because the address is beyond ASCII. */
export function isInternational(sender: string): boolean {
  return !isAscii(sender);
}

/** The whole message, with CRLF line ends. */
export function renderReport(facts: ReportFacts): Buffer {
  const boundary = `=_${facts.reportId}`;
  const international = isInternational(facts.sender);
  const statusType = international ? 'message/global-delivery-status' : 'message/delivery-status';
  const { type, bytes } = describeOriginal(facts);
  const parts = [
    renderPart('text/plain; charset=utf-8', Buffer.from(renderText(facts)), international),
    renderPart(statusType, Buffer.from(renderStatus(facts)), international),
    renderPart(type, withoutBoundary(bytes, boundary), international),
  ];
  const open = Buffer.from(`--${boundary}\r\n`);
  return Buffer.concat([
    Buffer.from(renderHeader(facts, boundary)),
    ...parts.flatMap((part) => [open, part]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/**
 * RFC 6522 returns the message as message/rfc822, which must not be encoded (RFC 2045 section 6.4). Other content than
 * plain ASCII is sent as message/global, which may be encoded (RFC 6532 section 3.7). A header is sent as text, which
 * may be encoded too.
 */
function describeOriginal({ original: { kind, bytes, smtpUtf8 } }: ReportFacts) {
  if (kind === 'message') return { type: isPlain(bytes) ? 'message/rfc822' : 'message/global', bytes };
  const type = smtpUtf8 && !isAscii(bytes) ? 'message/global-headers' : 'text/rfc822-headers';
  return { type, bytes };
}

/** The RFC 3463 code of the failure. A message that was passed on has no finer code. */
function readStatus(told: DsnRecipient): string {
  if (told.kind === 'success-relayed') return '2.0.0';
  const digit = told.kind === 'failure' ? '5' : '4';
  return told.failure.status.startsWith(digit) ? told.failure.status : `${digit}.0.0`;
}

/** The text for a person. */
function explain(told: DsnRecipient, hop: string | null): string {
  if (told.kind === 'success-relayed') return told.reply;
  const { failure } = told;
  const text = tellSender(failure);
  if (hop !== null && failure.reply) return `${hop} said: ${text}`;
  return text === failure.reply?.line ? text : `${failure.status} ${text}`;
}

/** Without a reply of a hop this is our own text. RFC 3464 section 2.3.6 demands a type anyway. */
function diagnose(told: DsnRecipient): string {
  if (told.kind === 'success-relayed') return `smtp; ${told.reply}`;
  const { reply, status } = told.failure;
  return reply ? `smtp; ${reply.line}` : `X-mailrelay; ${status} ${tellSender(told.failure)}`;
}

function renderHeader({ kind, reportId, hostname, sender, now }: ReportFacts, boundary: string) {
  return lines([
    `Date: ${rfc5322Date(now)}`,
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${harmless(sender)}>`,
    `Subject: ${WORDS[kind].subject}`,
    `Message-ID: <${reportId}@${hostname}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="${boundary}"`,
    ...(isInternational(sender) ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    '',
  ]);
}

function renderText({ kind, hostname, dsnRecipients, hop, queueId, now }: ReportFacts): string {
  return lines([
    `This is the mail relay ${hostname}.`,
    '',
    WORDS[kind].opening,
    '',
    ...dsnRecipients.flatMap((told) => [
      `  <${harmless(told.recipient.address)}>${nameOriginal(told.recipient)}`,
      `  ${harmless(explain(told, hop))}`,
      ...listEnd(told, now).map((date) => `  It is tried until ${date}.`),
      '',
    ]),
    `The relay knows the message as ${queueId}.`,
    '',
  ]);
}

/** An alias may lead to an address that the sender has never seen. */
function nameOriginal({ address, orcpt = '' }: DsnRecipient['recipient']): string {
  const [, type = '', named = address] = /^(rfc822|utf-8);(.*)$/is.exec(orcpt) ?? [];
  const original = type.toLowerCase() === 'utf-8' ? readEmbedded(named) : named;
  return original.toLowerCase() === address.toLowerCase()
    ? ''
    : ` (your message was for <${harmless(original)}>)`;
}

/** A host before this one may have written an address in the notation of RFC 6533 section 3. */
function readEmbedded(text: string): string {
  return text.replace(/\\x\{(10[0-9a-f]{4}|(?!d[89a-f]..\})[0-9a-f]{2,5})\}/gi, (_, hex) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

function renderStatus(facts: ReportFacts): string {
  const { hostname, envid, receivedAt, dsnRecipients } = facts;
  const fields = [
    `Reporting-MTA: dns; ${hostname}`,
    ...(envid === undefined ? [] : [`Original-Envelope-Id: ${harmless(envid)}`]),
    `Arrival-Date: ${rfc5322Date(receivedAt)}`,
    ...dsnRecipients.flatMap((told) => ['', ...recipientStatus(facts, told)]),
    '',
  ];
  return lines(isInternational(facts.sender) ? fields : fields.map(inAscii));
}

function recipientStatus({ kind, now, hop }: ReportFacts, told: DsnRecipient) {
  const { address, orcpt, triedAt } = told.recipient;
  // Where the DNS names no host, none was asked.
  const isAsked = hop !== null && (told.kind === 'success-relayed' || told.failure.cause !== 'dns');
  // What no hop gave is told later than the attempt, if there was one.
  const attempt = hop === null ? triedAt : now.getTime();
  return [
    ...(orcpt === undefined ? [] : [`Original-Recipient: ${harmless(orcpt)}`]),
    `Final-Recipient: ${isAscii(address) ? 'rfc822' : 'utf-8'}; ${harmless(address)}`,
    `Action: ${WORDS[kind].action}`,
    `Status: ${readStatus(told)}`,
    ...(isAsked ? [`Remote-MTA: dns; ${harmless(hop.replace(/:\d+$/, ''))}`] : []),
    `Diagnostic-Code: ${harmless(diagnose(told))}`,
    ...(attempt === undefined ? [] : [`Last-Attempt-Date: ${rfc5322Date(new Date(attempt))}`]),
    ...listEnd(told, now).map((date) => `Will-Retry-Until: ${date}`),
  ];
}

/** The last retry. Mail whose time was over before, as after a long outage, is tried once more, at a time that nobody knows. */
function listEnd(told: DsnRecipient, now: Date): string[] {
  const isAhead = told.kind === 'delay' && told.willRetryUntil > now.getTime();
  return isAhead ? [rfc5322Date(new Date(told.willRetryUntil))] : [];
}

/** The original may contain anything, even our boundary. */
function withoutBoundary(bytes: Buffer, boundary: string): Buffer {
  if (!bytes.includes(`--${boundary}`)) return bytes;
  return Buffer.from(bytes.toString('latin1').replaceAll(`--${boundary}`, `- -${boundary}`), 'latin1');
}

/** One line of text without control characters, of a length that RFC 5322 section 2.1.1 allows. */
function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not get through
  return cutText(encodeOctets(text).replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' '), 500);
}

/**
 * A delivery status is ASCII. RFC 6533 section 3 has the notation for addresses. The notation makes the line longer, so
 * it is cut.
 */
function inAscii(line: string): string {
  let text = '';
  for (const char of line) {
    const next = isAscii(char) ? char : `\\x{${char.codePointAt(0)?.toString(16).toUpperCase()}}`;
    if (text.length + next.length > LINE_CHARS) break;
    text += next;
  }
  return text;
}

function lines(all: readonly string[]): string {
  return all.join('\r\n');
}

function rfc5322Date(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}
