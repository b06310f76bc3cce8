/**
 * All reply texts of this relay, in one table: code, enhanced status code (RFC 3463) and text. The enhanced codes of
 * smtp-server stay off, because they would change the 24 bytes of "220 Ready to start TLS". Pure data.
 */
export interface Reply {
  readonly code: number;
  readonly text: string;
  /** The label of the refusal in the metrics. */
  readonly reason: string;
}

const reply = (code: number, reason: string, text: string): Reply => ({ code, text, reason });

export const REPLIES = {
  mustStartTls: reply(530, 'starttls_required', '5.7.0 Must issue a STARTTLS command first'),
  mustLogIn: reply(530, 'auth_required', '5.7.0 Authentication required'),
  noStartTls: reply(502, 'starttls_disabled', '5.5.1 STARTTLS is not available here'),
  notAvailable: reply(502, 'not_available', '5.5.1 Command not implemented'),
  notUnderstood: reply(500, 'syntax', '5.5.2 Command not recognized'),
  notSmtp: reply(421, 'not_smtp', '4.7.0 This is no SMTP, closing the connection'),
  brokenTls: reply(421, 'broken_tls', '4.7.0 The TLS of this session is broken, closing the connection'),
  lineTooLong: reply(500, 'syntax', '5.5.2 Line too long'),
  aborted: reply(451, 'aborted', '4.4.2 The connection ended before the message did'),
  tlsUnavailable: reply(454, 'tls_unavailable', '4.7.0 TLS is not available now, try again later'),
  noCertificate: reply(451, 'tls_unavailable', '4.3.2 No certificate is loaded, try again later'),
  authNeedsTls: reply(530, 'starttls_required', '5.7.0 Must issue a STARTTLS command first'),
  authInTransaction: reply(503, 'protocol', '5.5.1 No login inside a mail transaction'),
  authFailed: reply(535, 'auth_failed', '5.7.8 Authentication credentials invalid'),
  authUnavailable: reply(454, 'auth_unavailable', '4.7.0 Temporary authentication failure'),
  authBadSyntax: reply(501, 'auth_failed', '5.5.2 Cannot read this authentication response'),
  authAborted: reply(501, 'auth_failed', '5.7.0 Authentication aborted'),
  tooManyFailures: reply(421, 'auth_failures', '4.7.0 Too many failed logins, try again later'),
  idle: reply(421, 'idle', '4.4.2 Idle for too long, closing the connection'),
  messageTooSlow: reply(421, 'too_slow', '4.4.2 The message takes too long, closing the connection'),
  tooManyErrors: reply(421, 'too_many_errors', '4.7.0 Too many refused commands'),
  tooManyConnections: reply(421, 'connections', '4.7.0 Too many connections from your address'),
  tooManySessions: reply(421, 'sessions', '4.3.2 Too many connections, try again later'),
  tooManyMessages: reply(450, 'rate', '4.7.1 Too many messages from your address, try again in a minute'),
  tooManyOfLogin: reply(450, 'login_rate', '4.7.1 Too many messages of this login, try again in a minute'),
  tooManyReports: reply(450, 'report_rate', '4.7.1 Too many reports, try again in a minute'),
  oneRecipient: reply(
    452,
    'recipients',
    '4.5.3 One recipient at a time here, send the rest in other transactions',
  ),
  tooManyRecipients: reply(
    452,
    'recipients',
    '4.5.3 Too many recipients, send the rest in another transaction',
  ),
  closing: reply(421, 'closing', '4.3.2 Service is restarting, try again'),
  badSender: reply(553, 'bad_address', '5.1.7 This sender address cannot be relayed'),
  badRecipient: reply(553, 'bad_address', '5.1.3 This recipient address cannot be relayed'),
  senderSyntax: reply(501, 'protocol', '5.1.7 Bad sender address syntax'),
  recipientSyntax: reply(501, 'protocol', '5.1.3 Bad recipient address syntax'),
  unqualifiedSender: reply(553, 'bad_address', '5.1.7 The sender address needs a domain'),
  unknownParameter: reply(555, 'unknown_parameter', '5.5.4 Unsupported parameter'),
  parameterValue: reply(501, 'protocol', '5.5.4 This parameter takes no value'),
  needsSmtpUtf8: reply(553, 'bad_address', '5.6.7 This address needs SMTPUTF8'),
  noRelaying: reply(
    550,
    'relaying_denied',
    '5.7.1 Relaying denied: you are not among inbound.clients, the domain not in inbound.acceptDomains',
  ),
  senderNotAllowed: reply(
    553,
    'sender_not_allowed',
    '5.7.1 Relaying denied: the sender is not in inbound.clients.senderDomains',
  ),
  recipientNotAllowed: reply(
    550,
    'recipient_not_allowed',
    '5.7.1 Relaying denied: the domain is not in inbound.clients.recipientDomains',
  ),
  suppressed: reply(
    550,
    'suppressed',
    '5.7.1 This recipient refused mail for good before, and gets none for some time (queue.suppression)',
  ),
  aliasLoop: reply(451, 'alias_error', '4.6.0 The alias of this address has no end, or too many addresses'),
  aliasOfNothing: reply(550, 'alias_error', '5.1.1 The alias of this address leads to no address'),
  severalInCutThrough: reply(
    550,
    'alias_error',
    '5.3.5 The alias of this address has several addresses, and this relay passes mail on to one',
  ),
  foreignReturn: reply(
    550,
    'foreign_return',
    '5.1.1 This return address is not one of ours, or too old, or the sender is not the null sender',
  ),
  mapUnreadable: reply(451, 'map_unreadable', '4.3.0 A map of addresses cannot be read now, try again later'),
  filterUnavailable: reply(
    451,
    'filter_unavailable',
    '4.7.1 The content filter cannot judge the message now, try again later',
  ),
  queueFull: reply(452, 'queue_full', '4.3.1 The queue is full, try again later'),
  diskFull: reply(452, 'disk_full', '4.3.1 Insufficient system storage'),
  diskFailed: reply(451, 'disk_error', '4.3.0 The message could not be stored, try again later'),
  localError: reply(451, 'local_error', '4.3.0 Local error, try again later'),
  tooLarge: reply(552, 'too_large', '5.3.4 Message exceeds the size limit'),
  bareLine: reply(554, 'bare_line_break', '5.6.0 Bare CR or LF in the message, lines end with CRLF'),
  bareEnd: reply(554, 'bare_line_break', '5.6.0 Only CRLF.CRLF ends a message, and lines end with CRLF'),
  nul: reply(554, 'nul', '5.6.0 NUL in the message'),
  mailLoop: reply(554, 'loop', '5.4.6 Too many hops, this looks like a mail loop'),
} as const satisfies Record<string, Reply>;

/**
 * Our words may quote what the client or the content filter wrote. A reply has 512 octets at most, of ASCII (RFC 5321
 * section 4.5.3.1.5).
 */
const LONGEST_TEXT = 400;

/** The client may not use this sender: `text` names the sender, and the login or the certificate. */
export function senderMismatch(text: string): Reply {
  return reply(553, 'sender_login_mismatch', `5.7.1 Sender refused: ${showText(text)}`);
}

/** The content filter refuses the message with this text. */
export function filterRefusal(permanent: boolean, text: string): Reply {
  const shown = showText(text.replace(/^[45]\.\d{1,3}\.\d{1,3} /, ''));
  return permanent
    ? reply(554, 'filter_refused', `5.7.1 ${shown}`)
    : reply(451, 'filter_deferred', `4.7.1 ${shown}`);
}

function showText(text: string): string {
  return text.replace(/[^ -~]/g, '?').slice(0, LONGEST_TEXT);
}

/** The error that smtp-server turns into this reply. */
export class Refusal extends Error {
  readonly reply: Reply;
  readonly responseCode: number;

  constructor(reply: Reply) {
    super(reply.text);
    this.reply = reply;
    this.responseCode = reply.code;
  }
}
