/** Rules about how hard destinations and providers are used. They are part of the list in rules.ts. */
import { DEFAULT_EXPIRE_AFTER } from './effectivequeue.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';
import { celSeconds } from './tlsrules.ts';
import { parseDuration, parsed } from './units.ts';

const seconds = (text: string) => parsed(parseDuration, text);

const listRetries = ({ outbound }: MailRelaySpec) =>
  [...(outbound?.routes ?? []), ...(outbound?.providers ?? [])].flatMap(({ retry }) => retry ?? []);

// The same in CEL. `test` speaks of the retry of `r`, a route or a provider.
const celEveryRetry = (test: string) =>
  `!has(self.outbound) || (${['routes', 'providers']
    .map(
      (list) => `(!has(self.outbound.${list}) || self.outbound.${list}.all(r, !has(r.retry) || (${test})))`,
    )
    .join(' && ')})`;
const CEL_MIN = celSeconds('r.retry.minBackoff', 0);
const CEL_MAX = celSeconds('r.retry.maxBackoff', 0);
const USUAL_EXPIRY = seconds(DEFAULT_EXPIRE_AFTER);
const CEL_EXPIRY = celSeconds(
  'r.retry.expireAfter',
  `(has(self.queue) ? ${celSeconds('self.queue.expireAfter', USUAL_EXPIRY)} : ${USUAL_EXPIRY})`,
);

export const SHAPING_RULES: readonly Rule[] = [
  {
    path: 'spec.outbound',
    cel: `!${CEL_CUT_THROUGH} || !has(self.outbound) || (!has(self.outbound.providers) && (!has(self.outbound.limits) || !(has(self.outbound.limits.connectionsPerDestination) || has(self.outbound.limits.messagesPerDestinationPerMinute))) && (!has(self.outbound.routes) || self.outbound.routes.all(r, !has(r.limits) && !has(r.retry))))`,
    message:
      'queue.mode CutThrough delivers as fast as clients send, because nothing can wait: remove connectionsPerDestination and messagesPerDestinationPerMinute from outbound.limits, limits and retry from outbound.routes, and outbound.providers, and limit clients by inbound.limits, or use Durable',
    holds: (spec) =>
      !isCutThrough(spec) ||
      (spec.outbound?.providers === undefined &&
        spec.outbound?.limits?.connectionsPerDestination === undefined &&
        spec.outbound?.limits?.messagesPerDestinationPerMinute === undefined &&
        (spec.outbound?.routes ?? []).every(
          ({ limits, retry }) => limits === undefined && retry === undefined,
        )),
  },
  {
    path: 'spec.outbound.providers',
    cel: '!has(self.outbound) || !has(self.outbound.providers) || self.outbound.providers.all(p, self.outbound.providers.exists_one(q, q.name == p.name))',
    message: 'two providers have the same name: give each its own, or write their mxHosts into one list',
    holds: ({ outbound }) => {
      const names = (outbound?.providers ?? []).map(({ name }) => name);
      return new Set(names).size === names.length;
    },
  },
  {
    path: 'spec.outbound.providers',
    cel: '!has(self.outbound) || !has(self.outbound.providers) || self.outbound.providers.all(p, !has(p.warmUp) || (has(p.limits) && has(p.limits.messagesPerMinute) && p.warmUp.messagesPerHour <= p.limits.messagesPerMinute * 60))',
    message:
      'a warm-up grows up to limits.messagesPerMinute: set it for the provider, to at least a sixtieth of warmUp.messagesPerHour',
    holds: ({ outbound }) =>
      (outbound?.providers ?? []).every(
        ({ warmUp, limits }) =>
          warmUp === undefined || warmUp.messagesPerHour <= (limits?.messagesPerMinute ?? 0) * 60,
      ),
  },
  {
    path: 'spec.outbound',
    cel: celEveryRetry(
      `has(r.retry.minBackoff) == has(r.retry.maxBackoff) && (!has(r.retry.minBackoff) || (${CEL_MIN} >= 1 && ${CEL_MIN} <= ${CEL_MAX}))`,
    ),
    message:
      'pauses grow from retry.minBackoff, at least 1s, up to retry.maxBackoff: set both, the second one no shorter than the first, or remove both',
    holds: (spec) =>
      listRetries(spec).every(({ minBackoff, maxBackoff }) =>
        minBackoff === undefined || maxBackoff === undefined
          ? minBackoff === maxBackoff
          : seconds(minBackoff) >= 1 && seconds(minBackoff) <= seconds(maxBackoff),
      ),
  },
  {
    path: 'spec.outbound',
    cel: celEveryRetry(`!has(r.retry.maxBackoff) || ${CEL_MAX} < ${CEL_EXPIRY}`),
    message: `mail would expire during its longest pause: set retry.maxBackoff to less than retry.expireAfter, or without that to less than queue.expireAfter (${DEFAULT_EXPIRE_AFTER} unless set)`,
    holds: (spec) =>
      listRetries(spec).every(
        ({ maxBackoff, expireAfter = spec.queue?.expireAfter ?? DEFAULT_EXPIRE_AFTER }) =>
          maxBackoff === undefined || seconds(maxBackoff) < seconds(expireAfter),
      ),
  },
];
