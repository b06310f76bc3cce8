/** Words of the docs that no other table has: alerts, and events for a webhook. Pure data. */

interface Word {
  readonly meaning: string;
  readonly cure?: string;
}

/** docs/alerts.md has the steps. */
export const ALERTS: Readonly<Record<string, Required<Word>>> = {
  MailRelayNotReady: {
    meaning: 'a pod takes no mail; senders try again, and other pods of the relay go on',
    cure: 'see MESSAGE in "kubectl get mr -o wide", then the events and the log of the pod',
  },
  MailRelayCertificateEnded: {
    meaning: 'the relay serves a certificate that has ended, so senders that verify it wait',
    cure: 'see why "kubectl get certificate" is not READY, or write a new pair into the Secret',
  },
  MailRelayCertificateEnds: {
    meaning: 'the certificate ends within a week, and its renewal has failed',
    cure: 'see why "kubectl get certificate" is not READY, or write a new pair into the Secret',
  },
  MailRelayQueueFull: {
    meaning: 'the relay answers 452, because the queue or the volume is full; clients keep their mail',
    cure: 'mend the destination that "queue list" names, or raise queue.storage.size, queue.maxSize or queue.maxMessages',
  },
  MailRelayMailWaits: {
    meaning: 'a message waits for more than an hour',
    cure: 'see the reasons in "status", and try the way by "explain ADDRESS --connect"',
  },
  MailRelayMailHeld: {
    meaning: 'messages wait for a person, who held them, or who must look at damaged ones',
    cure: 'see "queue list --held"; then release, export or remove them',
  },
  MailRelayDestinationsBlocked: {
    meaning: 'destinations wait for half an hour for a free slot, because slow next hops hold them',
    cure: 'give a slow destination a route with its own limits, or raise replicas',
  },
  MailRelayLoginRefused: {
    meaning: 'a next hop refuses the login of the relay; mail for it waits and is not returned',
    cure: 'correct the Secret that credentialsSecretName names for it',
  },
  MailRelayBouncesRise: {
    meaning: 'in half an hour the relay returned more than a fifth of its recipients',
    cure: 'see "reason" in the lines "bounced" of the log: an old list, a stolen login, or a block list',
  },
  MailRelayHandshakesFail: {
    meaning: 'the handshake with a next hop fails, so level Opportunistic sent in plain text',
    cure: 'see "fellBackReason" in the log; mend the next hop, or set level Encrypt, and the mail waits',
  },
  MailRelayPolicyLapsed: {
    meaning:
      'an MTA-STS policy could not be fetched again before its time ended, so mail for its domain is protected less',
    cure: 'see sts_policy_failed in the log, and let the relay reach port 443 of the policy host',
  },
  MailRelayNotSigned: {
    meaning: 'messages of ours went out without a DKIM signature, although there are keys',
    cure: 'see "reason" in the lines "not_signed" of the log; correct the program that sends such mail, or the senderDomains of its client',
  },
  MailRelayTasksDie: {
    meaning: 'a task process died more than three times in a quarter of an hour, and is started again',
    cure: 'see the log before "task_died"; raise pod.resources.limits.memory where it is used up',
  },
  MailRelayOperatorAbsent: {
    meaning: 'no operator leads: relays serve on, and changes wait',
    cure: 'see the pods and the log in mailrelay-system, and whether Prometheus sees them',
  },
  MailRelayOperatorLate: {
    meaning: 'a MailRelay waits for more than a minute for the operator',
    cure: 'see whether the API server is slow, and give the operator more CPU where it uses all',
  },
  MailRelayOperatorWatchSilent: {
    meaning: 'a watch of the operator has heard nothing for three minutes',
    cure: 'see "cannot_watch" in its log: a right or a CRD is missing, or the API server is away',
  },
  MailRelayOperatorNamespaceAway: {
    meaning: 'a namespace of watchNamespaces is gone, or the operator may not read it',
    cure: 'make the namespace or its RoleBinding again, or remove it from watchNamespaces',
  },
  MailRelayOperatorFails: {
    meaning: 'more than a fifth of the looks at MailRelays end in an error',
    cure: 'see "reconcile_failed" in the log of the operator, and MESSAGE in "kubectl get mr -A -o wide"',
  },
};

/** docs/events.md has their fields. */
export const MAIL_EVENTS: Readonly<Record<string, Word>> = {
  'mail.accepted': { meaning: 'the relay answered 250' },
  'mail.deferred': {
    meaning: 'a recipient waits for another attempt',
    cure: 'none is needed where it ends by itself; "queue list" has the reason',
  },
  'mail.delivered': { meaning: 'a next hop took the mail for a recipient' },
  'mail.bounced': {
    meaning: 'a next hop refused a recipient for good, or the mail cannot go to it',
    cure: 'see its fields status and text: the answer of the next hop',
  },
  'mail.complained': {
    meaning: 'a mailbox provider sent a complaint about a mail, at the address of inbound.feedbackReports',
  },
  'mail.discarded': {
    meaning: 'a recipient is suppressed and the client was not told, so the mail goes nowhere',
    cure: 'lift the recipient by "queue lift ADDRESS", or take it out of the list of the sender',
  },
  'mail.expired': {
    meaning:
      'a recipient waited for longer than queue.expireAfter, or retry.expireAfter of its route or provider',
    cure: 'mend the way by "explain ADDRESS --connect", and let the sender send again',
  },
  'mail.removed': { meaning: 'a person removed the message by "mailrelay queue remove"' },
};
