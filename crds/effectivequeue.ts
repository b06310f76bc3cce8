/** The queue and the events in a policy, with every default applied. Part of effective.ts. Pure. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Policy } from './policyfile.ts';
import { parseDuration, parsed, parseSize } from './units.ts';

export const DEFAULT_EXPIRE_AFTER = '5d';
const DEFAULT_DELAY_WARNING = '4h';
/** The address does not exist, has moved, or takes no mail. */
const HARD_STATUSES = ['5.1.1', '5.1.2', '5.1.3', '5.1.6', '5.1.10', '5.2.1'];

export function effectiveQueue(queue: MailRelaySpec['queue']): Policy['queue'] {
  const warning = parsed(parseDuration, queue?.delayWarningAfter ?? DEFAULT_DELAY_WARNING);
  return {
    mode: queue?.mode ?? 'Durable',
    expireAfterSeconds: Math.max(1, parsed(parseDuration, queue?.expireAfter ?? DEFAULT_EXPIRE_AFTER)),
    delayWarningSeconds: warning === 0 ? null : warning,
    maxMessages: queue?.maxMessages ?? null,
    maxBytes: queue?.maxSize === undefined ? null : Math.max(1, parsed(parseSize, queue.maxSize)),
    historySeconds: queue?.history === undefined ? null : parsed(parseDuration, queue.history) || null,
    suppression: effectiveSuppression(queue?.suppression),
  };
}

export function effectiveEvents(events: MailRelaySpec['events']): Policy['events'] {
  if (events === undefined) return null;
  const { url, secretName, trustConfigMapName } = events.webhook;
  return { url, secret: secretName, trustConfigMap: trustConfigMapName ?? null };
}

function effectiveSuppression(
  suppression: NonNullable<MailRelaySpec['queue']>['suppression'],
): Policy['queue']['suppression'] {
  if (suppression === undefined) return null;
  const { duration, bounces = 1, statuses = HARD_STATUSES, action = 'Refuse' } = suppression;
  return { seconds: Math.max(1, parsed(parseDuration, duration)), bounces, statuses: [...statuses], action };
}
