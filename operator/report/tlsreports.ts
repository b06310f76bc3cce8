/**
 * The TLS reports of others that the pods received on one day, for the status of the MailRelay and one event. The pods
 * close a day within a minute of each other, so the sums wait until all of them have. A day without mail changes nothing,
 * so that a relay at rest causes no write. Pure.
 */
import type { PodStatus, TlsReportsDay } from '#crds/podstatus.ts';
import type { MailRelayStatus } from '#crds/status.ts';

/** Undefined if no pod takes reports. */
export function renderTlsReports(
  pods: readonly PodStatus[],
  before: MailRelayStatus['tlsReports'],
): MailRelayStatus['tlsReports'] {
  const days = pods.flatMap(({ tlsReports }) => tlsReports ?? []);
  const [first] = days;
  if (!first) return undefined;
  const { day } = first;
  const isOver = days.every((one) => one.day === day) && day > (before?.day ?? '');
  const sum = (field: Exclude<keyof TlsReportsDay, 'day'>) =>
    days.reduce((all, one) => Math.min(all + one[field], Number.MAX_SAFE_INTEGER), 0);
  const [reports, discarded] = [sum('reports'), sum('discarded')];
  if (!isOver || reports + discarded === 0) return before;
  return { day, reports, discarded, successes: sum('successes'), failures: sum('failures') };
}
