/** What the events of the relay's log mean that tell of mail and transitions (levels info and debug). Pure data. */
import type { LogEvent } from '#relay/observe/levels.ts';

export interface LogWord {
  readonly meaning: string;
  /** Absent: it is no trouble. */
  readonly cause?: string;
  /** Absent: there is nothing to do. */
  readonly cure?: string;
}

export const LOG_NEWS = {
  accepted: { meaning: 'the relay answered 250, and the message is on disk' },
  certificate_loaded: { meaning: 'the relay serves its first key pair; a "warning" says what is weak in it' },
  certificate_replaced: { meaning: 'the relay serves a new key pair; no session was cut' },
  certificate_waits: {
    meaning: 'a new key pair for the names inside the cluster waits until clients can know its authority',
  },
  complained: {
    meaning: 'a mailbox provider sent a complaint about a mail, at the address of inbound.feedbackReports',
    cure: 'take the recipient off your list',
  },
  delivered: {
    meaning: 'a next hop took the mail for recipients; "fellBack" says that it went in plain text',
  },
  evacuation_announced: {
    meaning: 'the pod leaves, because the relay scales in; it takes no new clients and empties its queue',
  },
  filtered: { meaning: 'the content filter wants something done with a message; "action" says what' },
  handed_over: { meaning: 'a message of a pod that leaves is now in the queue of another pod' },
  not_verified: {
    meaning: 'the sender of a message was not verified, and its Authentication-Results say none',
    cause: 'DNS did not answer in time, too many messages came at once, or the header cannot be read',
    cure: 'see "reason" in the line',
  },
  passed_over: {
    meaning: 'hosts or addresses of the destination failed before "hop" took over',
    cure: 'see "reasons" in the line where mail is slow',
  },
  policy_awaits_mount: {
    meaning: 'a new policy names a Secret or ConfigMap that this pod does not mount; a new pod follows',
  },
  policy_changed: { meaning: 'a new policy is in force; no session was cut' },
  policy_in_force: { meaning: 'the first policy of this relay is in force' },
  scale_changed: { meaning: 'the number of pods was changed; the policy is the same' },
  secret_taken: { meaning: 'a next hop took the new contents of a Secret, which are in use now' },
  stopped: { meaning: 'the process has ended its work, and ends' },
  stopping: { meaning: 'the process was told to stop, and ends what is under way' },
  sts_policies_handed_over: { meaning: 'another pod has the MTA-STS policies of a pod that leaves' },
  sts_policies_taken_over: { meaning: 'this pod has the MTA-STS policies of a pod that leaves' },
  sts_policy: { meaning: 'a domain has a new MTA-STS policy, which holds for mail to it' },
  suppressed: {
    meaning:
      'a client named a recipient that gets no mail for some time, because next hops refused it for good',
    cure: 'see "queue suppressed"; "queue lift ADDRESS" lets it get mail again',
  },
  table_loaded: { meaning: 'a table of addresses is in force; "leftOut" counts lines that are no addresses' },
  taken_over: { meaning: 'a message of a pod that leaves is now in the queue of this pod' },
  task_drained: { meaning: 'a task process of the policy before has ended its sessions, and ended' },
  task_recovered: { meaning: 'a task process that was late answers again' },
  task_started: { meaning: 'a task process runs' },
  tls_report: { meaning: 'a TLS report was sent to a domain that wants one' },
  tls_report_received: { meaning: 'another mail system reported how its TLS sessions with us went' },
  tls_reports_of_day: { meaning: 'the sum of the TLS reports that were received about one day' },
} as const satisfies Readonly<Partial<Record<LogEvent, LogWord>>>;
