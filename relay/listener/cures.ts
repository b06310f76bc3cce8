/** For each reason of a refusal (the metrics label), the setting that would have allowed the client. Pure data. */

const CURES: Readonly<Record<string, string>> = {
  starttls_required:
    'the client must use STARTTLS, or inbound.clientPolicies must have its network with starttls: Enabled',
  auth_required: 'the client must log in; networks do not replace a login on a listener with auth: Required',
  starttls_disabled: 'set starttls: Enabled for the listener or the network of the client',
  not_available: 'the relay has no such command, or the listener has no auth',
  syntax: 'the client must send a command of SMTP',
  not_smtp: 'the client does not speak SMTP, or speaks TLS on a port without implicitTLS',
  broken_tls:
    'the client, and whatever lies between, must leave the TLS of the session as it is: a record could not be read',
  aborted: 'the client ended the connection before the message ended',
  tls_unavailable: 'load a certificate: see the condition CertificateReady',
  protocol: 'the client must send commands in their order, with addresses that RFC 5321 or Postfix can read',
  auth_failed: 'the login must be one of clients.credentialsSecretName or clients.oauth',
  auth_unavailable: 'the Secret of the logins, or the issuer of the tokens, must be there',
  auth_failures: 'the client must wait after too many failed logins',
  idle: 'the client must go on within inbound.limits.idleTimeout',
  too_slow: 'the message must arrive within inbound.limits.messageTimeout',
  too_many_errors: 'the client must be refused less often than inbound.limits.errorsPerSession',
  connections: 'raise inbound.limits.connectionsPerClient',
  sessions: 'raise inbound.limits.connections, or replicas',
  rate: 'raise inbound.limits.messagesPerClientPerMinute',
  login_rate: 'raise inbound.limits.messagesPerLoginPerMinute',
  report_rate:
    'the client must try again: all clients together may send 60 mails in a minute to an address of inbound.tlsReports or inbound.feedbackReports, and one network 20',
  recipients: 'the client must send the rest in another transaction, or raise inbound.limits.recipients',
  closing: 'the client must connect again: the relay restarts',
  bad_address: 'the address must have a domain, and a recipient no %, !, : or quoted @',
  unknown_parameter: 'the client must send only parameters that EHLO offers',
  relaying_denied:
    'the client must be in inbound.clients (networks, a login or a certificate), or the domain in inbound.acceptDomains',
  sender_not_allowed: 'add the domain of the sender to clients.senderDomains',
  sender_login_mismatch:
    'the client must use one of its own senders in MAIL FROM, From and Sender; or add the sender to its entry in clients.senderLogins, or behind its password in the Secret of users',
  recipient_not_allowed: 'add the domain of the recipient to clients.recipientDomains',
  address_refused: 'change the entry of the address in addresses.sender or addresses.recipient',
  suppressed:
    'the next hop refused this recipient for good: lift it by "mailrelay queue lift", or wait for queue.suppression.duration',
  alias_error:
    'correct the entries of the address in addresses.recipient: no circles, at most 1000 addresses, at least one that can be relayed, and one with queue.mode CutThrough',
  foreign_return:
    'bounces must have the null sender, and come within 21 days to an address that a key of addresses.srs has signed',
  map_unreadable:
    'correct the table of addresses or the Secret of addresses.srs that the status and the log of the relay name',
  queue_full: 'raise queue.maxMessages or queue.maxSize, or let the queue drain',
  disk_full: 'raise queue.storage.size',
  disk_error: 'the volume of the pod must take writes: see the log of the relay',
  local_error: 'the relay had an error of its own: see command_failed in its log',
  too_large:
    'raise inbound.limits.messageSize; mail for inbound.tlsReports and inbound.feedbackReports has 2 MiB at most',
  bare_line_break: 'the client must end lines with CRLF, or set lineEndings: Normalize for its network',
  nul: 'the client must send no NUL, or set lineEndings: Normalize for its network',
  loop: 'routes must not lead the message back to this relay',
  filter_refused: 'the content filter (inbound.filter) refuses the message: change its rules if it is wrong',
  filter_deferred:
    'the content filter (inbound.filter) wants the message later: the client must try again; greylisting needs its module in the filter',
  filter_unavailable:
    'the content filter must answer within inbound.filter.timeout: see filter_failed in the log; or set onFailure: Accept',
  next_hop_refused: 'the next hop must take the message: its own words are in the reply',
  next_hop_deferred: 'the next hop must take the message: its own words are in the reply',
};

export const RULES_OF_REFUSAL: readonly string[] = Object.keys(CURES);

export function findCure(rule: string): string | undefined {
  return CURES[rule];
}
