/** The level of each event of the log. The type of the events comes from this table, so an event without a level does not compile. Pure. */
import type { Policy } from '#crds/policyfile.ts';

export type Level = Policy['logging']['level'];

/** From the most to the fewest lines. */
const ORDER: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/**
 * `error`: a person must act. `warn`: mail or a client did not get through, or something is wrong that ends by itself.
 * `info`: mail and transitions. `debug`: steps of these.
 */
const LEVELS = {
  certificate_not_taken: 'error',
  delivery_failed: 'error',
  handover_port: 'error',
  history_not_written: 'error',
  command_failed: 'error',
  handover_port_not_open: 'error',
  inputs_not_read: 'error',
  no_queue_tools: 'error',
  not_kept: 'error',
  policy_refused: 'error',
  progress_not_written: 'error',
  queue_not_read: 'error',
  set_aside: 'error',
  set_aside_failed: 'error',
  table_unreadable: 'error',
  spool_broken: 'error',
  spool_not_read: 'error',
  task_died: 'error',
  users_not_taken: 'error',
  bounced: 'warn',
  deferred: 'warn',
  discarded: 'warn',
  expired: 'warn',
  events_dropped: 'warn',
  events_not_taken: 'warn',
  filter_failed: 'warn',
  handover_failed: 'warn',
  task_not_started: 'warn',
  history_begun_anew: 'warn',
  handover_stranger: 'warn',
  login_failed: 'warn',
  not_handed_over: 'warn',
  feedback_report_discarded: 'warn',
  not_signed: 'warn',
  proxy_header_missing: 'warn',
  refused: 'warn',
  returned: 'warn',
  secret_held_back: 'warn',
  slowed_down: 'warn',
  spool_recovered: 'warn',
  suppression_damaged: 'warn',
  suppression_failed: 'warn',
  sts_policy_failed: 'warn',
  sts_policy_lapsed: 'warn',
  sts_policies_not_taken: 'warn',
  task_late: 'warn',
  tls_report_discarded: 'warn',
  tls_report_failed: 'warn',
  tls_report_incomplete: 'warn',
  accepted: 'info',
  certificate_loaded: 'info',
  certificate_replaced: 'info',
  certificate_waits: 'info',
  delivered: 'info',
  suppressed: 'info',
  filtered: 'info',
  complained: 'info',
  evacuation_announced: 'info',
  handed_over: 'info',
  not_verified: 'info',
  passed_over: 'info',
  policy_changed: 'info',
  policy_in_force: 'info',
  scale_changed: 'info',
  secret_taken: 'info',
  stopped: 'info',
  table_loaded: 'info',
  stopping: 'info',
  sts_policy: 'info',
  sts_policies_handed_over: 'info',
  sts_policies_taken_over: 'info',
  taken_over: 'info',
  task_recovered: 'info',
  task_started: 'info',
  tls_report: 'info',
  tls_report_received: 'info',
  tls_reports_of_day: 'info',
  policy_awaits_mount: 'debug',
  task_drained: 'debug',
} as const satisfies Readonly<Record<string, Level>>;

export type LogEvent = keyof typeof LEVELS;

export const LOG_EVENTS = Object.keys(LEVELS) as LogEvent[];

export function findLevel(event: LogEvent): Level {
  return LEVELS[event];
}

export function isLogged(event: LogEvent, least: Level): boolean {
  return ORDER.indexOf(LEVELS[event]) >= ORDER.indexOf(least);
}
