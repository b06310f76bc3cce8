/** What each event of the relay's log means, its usual cause and its cure. The compiler wants words for every event. Pure data. */
import type { LogEvent } from '#relay/observe/levels.ts';
import { LOG_NEWS, type LogWord } from './lognews.ts';

const BAD_DISK = 'the disk is full, slow or broken, or the volume is read-only';
const MEND_DISK = 'see "message" in the line, and mend or enlarge the volume of the queue';
const SIBLING_AWAY = 'the other pod starts, ends or has no room, or a network policy is between them';
const ASKED_AGAIN =
  'none is needed: the pod asks again, and another pod too; see the other pod where it stays';
const NOT_STARTED = 'the pod has too little memory or CPU, or its disk does not answer';
const RAISE_RESOURCES = 'raise pod.resources where they are used up; else look at the disk of the node';

export const LOG_WORDS: Readonly<Record<LogEvent, LogWord>> = {
  // error: a person must act.
  certificate_not_taken: {
    meaning: 'the relay did not take a new key pair, and goes on with the one before',
    cause: 'key and certificate do not fit, the certificate has ended, or it does not cover the names',
    cure: 'see "message" in the line; "mailrelay cert" judges a pair before it is used',
  },
  command_failed: {
    meaning: 'a command of a client ended in an error of the relay, and was answered with a 4xx',
    cause: 'the disk did not take the message; else a fault of the relay',
    cure: 'see "message" in the line, and the volume of the queue; else report it',
  },
  delivery_failed: {
    meaning: 'a delivery ended in an error of the relay itself; the message waits and is tried again',
    cause: 'the message could not be read from the disk; else a fault of the relay',
    cure: 'see "message" in the line, and the volume of the queue; else report it',
  },
  handover_port: {
    meaning: 'the port on which pods hand over their queues had an error',
    cause: 'the pod has no free file descriptors or no memory',
    cure: 'see "message" in the line; raise pod.resources where they are used up',
  },
  handover_port_not_open: {
    meaning: 'the port on which pods hand over their queues cannot be opened, so pods cannot scale in',
    cause: 'another process of the pod has the port, or the address is not there',
    cure: 'see "message" in the line, and free the port',
  },
  history_not_written: {
    meaning: 'the delivery history misses facts, so "find" does not know some mail; mail goes on',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  inputs_not_read: {
    meaning:
      'the mounted policy, certificates and Secrets could not be read; all stays as it is, soon the status says so, and they are read again; at a start the relay ends',
    cause: 'the process has no free file descriptors or no memory, or the disk of the node is broken',
    cure: 'see "message" in the line; raise the limit of open files or pod.resources, or look at the disk of the node',
  },
  no_queue_tools: {
    meaning: 'the queue tools cannot reach this relay; mail goes on',
    cause: 'the socket in the state folder could not be made, such as for a path that is too long',
    cure: 'see "message" in the line, choose a state folder with a shorter path, and start the relay again',
  },
  not_kept: {
    meaning: 'something that should survive a restart could not be written; "what" names it',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  policy_refused: {
    meaning: 'the relay did not take a new policy, and goes on with the one before',
    cause: 'the policy is not valid for this version, or its tasks did not start',
    cure: 'see "message" in the line, and MESSAGE in "kubectl get mr -o wide"',
  },
  progress_not_written: {
    meaning:
      'the answer of a next hop could not be written; it is tried again, and a crash may send a message twice',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  queue_not_read: {
    meaning: 'the supervisor cannot look into the queue, so it does not know whether the pod is empty',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  set_aside: {
    meaning: 'a message in the queue is damaged, and waits for a person',
    cause: 'the disk lost or changed a part of it',
    cure: 'see "queue list --held"; export or remove it',
  },
  set_aside_failed: {
    meaning: 'a damaged message could not be set aside; it is met again at the next look',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  spool_broken: {
    meaning: 'the store of the queue stays unusable for this process, which ends and is started again',
    cause: 'the disk is broken, or the volume is gone',
    cure: 'see "message" in the line, and mend the volume; what was acknowledged is kept if the disk still has it',
  },
  spool_not_read: {
    meaning: 'the queue, or the message of "id", cannot be read now; it is read again',
    cause: BAD_DISK,
    cure: MEND_DISK,
  },
  table_unreadable: {
    meaning:
      'a table of addresses cannot be read; the one before stays in use, or addresses that need it wait',
    cause: 'its ConfigMap or Secret is missing, or has a wrong line',
    cure: 'see "reason" in the line, and correct the ConfigMap or the Secret of the table',
  },
  task_died: {
    meaning: 'a task process of the relay ended by itself, and is started again',
    cause: 'the pod has no memory left, the disk is broken, or the relay has a fault',
    cure: 'see the lines before it, and the memory of the pod; else report it',
  },
  users_not_taken: {
    meaning: 'entries of the Secret of users cannot be used, so these users cannot log in',
    cause: 'an entry was written by hand, or cut off',
    cure: 'see "users" in the line, and correct the Secret; "mailrelay hash" makes its entries',
  },
  // warn: mail or a client did not get through, or something is wrong that ends by itself.
  bounced: {
    meaning: 'recipients were refused for good; their sender gets a report',
    cause: 'the address is wrong, or the receiver does not want the mail',
    cure: 'see "reason" in the line: the answer of the next hop',
  },
  deferred: {
    meaning: 'a delivery failed for now, and recipients wait for another attempt',
    cause: 'the next hop is away, busy or greylists, or its TLS is not as the level wants it',
    cure: 'see "reason" in the line, and try the way by "explain ADDRESS --connect"',
  },
  discarded: {
    meaning: 'mail for suppressed recipients goes nowhere, and the client was not told',
    cause: 'next hops refused the recipients for good (queue.suppression)',
    cure: '"queue lift ADDRESS" lets one get mail again; or take it out of the list of the sender',
  },
  expired: {
    meaning:
      'recipients waited for longer than queue.expireAfter, or retry.expireAfter of their route or provider',
    cause: 'the next hop refused them for now, or was away, all that time',
    cure: 'see the lines "deferred" of the same id, mend the way, and let the sender send again',
  },
  events_dropped: {
    meaning: 'events for the webhook were dropped; "reason" says why',
    cause: 'the receiver takes no events, so that more than 100,000 waited, or it refuses this one alone',
    cure: 'let the receiver answer 2xx: "events_not_taken" has its answer',
  },
  events_not_taken: {
    meaning: 'the receiver of events does not take them, and is asked again',
    cause: 'it is away, its certificate is not trusted, or it refuses the key or the events',
    cure: 'see "reason" in the line; the receiver must answer 2xx within 15 seconds',
  },
  filter_failed: {
    meaning: 'the content filter did not judge a message; inbound.filter.onFailure decided',
    cause: 'the filter is away, too slow, or answers what the relay does not know',
    cure: 'see "message" in the line, and the log of the filter',
  },
  feedback_report_discarded: {
    meaning: 'a mail to the address for complaints was taken and read, and is no proven report',
    cause: 'it has no valid DKIM signature of its sender, is larger than 2 MiB, or has another form',
    cure: 'see "reason" in the line; where a provider really sends so, tell the provider',
  },
  handover_failed: {
    meaning: 'a message could not be handed over or taken over; it stays in its queue and is offered again',
    cause: SIBLING_AWAY,
    cure: ASKED_AGAIN,
  },
  handover_stranger: {
    meaning: 'somebody connected to the port for queues without the key pair of the relay, and was cut off',
    cause: 'a scan, or a pod whose Secret is older',
    cure: 'see "client" in the line; let only pods of this relay reach the port, by a network policy',
  },
  history_begun_anew: {
    meaning: 'the delivery history was damaged, so the relay removed it and began a new one; mail goes on',
    cause: 'the disk lost or changed a part of it',
    cure: 'none is needed; look at the volume where it happens again',
  },
  login_failed: {
    meaning: 'a client gave a login that is not right, or that could not be judged',
    cause:
      'a wrong password, an unknown user, a guess of a stranger, or a client that wants to act as another user',
    cure: 'see "reason" in the line: the client hears only 535 or 454',
  },
  not_handed_over: {
    meaning: 'another pod did not take a message; it stays in its queue and is offered again',
    cause: SIBLING_AWAY,
    cure: ASKED_AGAIN,
  },
  not_signed: {
    meaning: 'a message of ours went out without a DKIM signature, although there are keys',
    cause:
      'its From field or another line is not as verifiers need it, or senderDomains of its client lack the domain; while a key is missing mail waits',
    cure: 'see "reason" in the line; correct the program that sends such mail, or the senderDomains of its client',
  },
  proxy_header_missing: {
    meaning: 'a connection from a proxy of proxyProtocol has no PROXY header, and was closed',
    cause: 'the proxy does not send the header, or a health check of the proxy connects without it',
    cure: 'let the proxy send the header, or remove its address from proxyProtocol.networks',
  },
  refused: {
    meaning: 'a client was refused; "rule" names what decided',
    cause: 'the manifest does not let this client do this, or the client makes a mistake',
    cure: 'see "cure" in the line, or explain the word of "rule"',
  },
  returned: {
    meaning: 'the sender gets a report about recipients that the mail did not reach',
    cause: 'they were refused for good, or expired',
    cure: 'see the lines "bounced" and "expired" of the same id',
  },
  secret_held_back: {
    meaning: 'a next hop refused the new contents of a Secret, so the old contents stay in use',
    cause: 'the new login or certificate is wrong, or the next hop does not know it yet',
    cure: 'see "reason" in the line, and correct the Secret',
  },
  slowed_down: {
    meaning: 'a receiver asked for fewer messages, and the relay sends more slowly to it',
    cause: 'it got more mail from the relay than it wants',
    cure: 'none is needed; where it stays, set limits for its route or provider',
  },
  spool_recovered: {
    meaning: 'the store of the queue was recovered, rebuilt or begun anew',
    cause: 'a power loss, a disk that failed, or a file of the queue that is gone',
    cure: 'see "queue list --held" for messages that were damaged, and look at the disk',
  },
  sts_policy_failed: {
    meaning: 'the MTA-STS policy of a domain cannot be had; one that is held goes on until "heldUntil"',
    cause: 'the policy host of the domain is away, or its certificate or its policy is wrong',
    cure: 'see "reason" in the line; the owner of the domain must mend it, or you where "cause" is local',
  },
  sts_policy_lapsed: {
    meaning: 'the MTA-STS policy of a domain has ended, and mail goes as without it',
    cause: 'the domain has not served a policy since "fetchedAt"',
    cure: 'set a route with level Verify for the domain where its mail must not go more weakly',
  },
  sts_policies_not_taken: {
    meaning:
      'another pod did not take the MTA-STS policies of this one, so the queue is not handed over to it',
    cause: SIBLING_AWAY,
    cure: ASKED_AGAIN,
  },
  suppression_damaged: {
    meaning: 'entries of the suppression list were damaged and are gone; these recipients get mail again',
    cause: 'the disk lost or changed a part of them',
    cure: 'none is needed; look at the volume where it happens again',
  },
  suppression_failed: {
    meaning: 'a recipient could not be written into the suppression list, or not taken off it; mail goes on',
    cause: 'the list is full, or the disk did not take it',
    cure: 'see "message" in the line; shorten queue.suppression.duration where the list is full',
  },
  task_late: {
    meaning:
      'a task process has not answered for eight seconds, and the pod is not ready; after twenty it is replaced',
    cause: NOT_STARTED,
    cure: RAISE_RESOURCES,
  },
  task_not_started: {
    meaning:
      'a task process that starts with its first connection did not start; the next connection tries again',
    cause: NOT_STARTED,
    cure: RAISE_RESOURCES,
  },
  tls_report_discarded: {
    meaning: 'a mail to the address for TLS reports was taken and read, and is no proven report',
    cause: 'it has no valid DKIM signature of its sender, is larger than 2 MiB, or has another form',
    cure: 'see "reason" in the line; where a provider really sends so, tell the provider',
  },
  tls_report_failed: {
    meaning: 'a TLS report for a domain could not be sent; "willRetry" says whether it is tried again',
    cause: 'the address or URL in the TLSRPT record of the domain does not take it',
    cure: 'none is needed here: see "reason" in the line; the owner of the domain must mend it',
  },
  tls_report_incomplete: {
    meaning: 'more domains got mail on this day than TLS reports are kept for, so some are not counted',
    cause: 'the relay sends to very many domains',
    cure: 'none is needed: mail is not concerned',
  },
  ...LOG_NEWS,
};
