/** The queue and the events in a policy, with every default applied. Part of effective.ts. Pure. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Policy } from './policyfile.ts';
import { parseDuration, parsed, parseSize } from './units.ts';

const DEFAULT_EXPIRE_AFTER = '5d';
const DEFAULT_DELAY_WARNING = '4h';

export function effectiveQueue(queue: MailRelaySpec['queue']): Policy['queue'] {
  const warning = parsed(parseDuration, queue?.delayWarningAfter ?? DEFAULT_DELAY_WARNING);
  return {
    mode: queue?.mode ?? 'Durable',
    expireAfterSeconds: Math.max(1, parsed(parseDuration, queue?.expireAfter ?? DEFAULT_EXPIRE_AFTER)),
    delayWarningSeconds: warning === 0 ? null : warning,
    maxMessages: queue?.maxMessages ?? null,
    maxBytes: queue?.maxSize === undefined ? null : Math.max(1, parsed(parseSize, queue.maxSize)),
    historySeconds: queue?.history === undefined ? null : parsed(parseDuration, queue.history) || null,
  };
}

export function effectiveEvents(events: MailRelaySpec['events']): Policy['events'] {
  if (events === undefined) return null;
  const { url, secretName, trustConfigMapName } = events.webhook;
  return { url, secret: secretName, trustConfigMap: trustConfigMapName ?? null };
}
