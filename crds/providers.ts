/** Large providers of an outbound section: many domains, one mail system. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { retry } from './retry.ts';
import { domainPatterns, text } from './shapes.ts';

const limits = z
  .object({
    connections: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        'Most connections to the provider at a time, per pod, over all its domains. Default: unlimited.',
      ),
    messagesPerMinute: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        'Most messages to the provider in a minute, per pod, over all its domains. Default: unlimited.',
      ),
    messagesPerConnection: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe(
        'Messages after which a connection to the provider is ended. Default: outbound.limits.messagesPerConnection.',
      ),
  })
  .describe(
    'How hard the provider is used. What outbound.limits or a route says of each destination holds as well.',
  );

const warmUp = z
  .object({
    startDate: text(
      '^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$',
      10,
      'a date, such as 2026-12-01',
    ).describe('Day on which the warm-up begins (UTC). Before it, mail goes as on this day.'),
    days: z
      .int()
      .min(1)
      .max(365)
      .describe(
        'Days until limits.messagesPerMinute is reached. The messages in an hour grow by the same factor each day.',
      ),
    messagesPerHour: z
      .int()
      .min(1)
      .max(60_000_000)
      .describe('Most messages to the provider in an hour of the first day, per pod.'),
  })
  .describe(
    'Begins with few messages and sends more each day, for addresses that the provider does not know yet. A restart changes nothing, because the date decides. Needs limits.messagesPerMinute.',
  );

const provider = z.object({
  name: text(
    '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$',
    63,
    'a name of lower-case letters, digits and hyphens, such as google',
  ).describe('Name of the provider, for logs, status and metrics.'),
  mxHosts: domainPatterns(32).describe(
    'MX hosts of the provider; *.google.com stands for every host below google.com. The hosts that a domain prefers (the lowest preference) decide.',
  ),
  limits: limits.optional(),
  warmUp: warmUp.optional(),
  retry: retry('the schedule of the relay. What the retry of a route sets goes before it').optional(),
});

export const providers = z
  .array(provider)
  .min(1)
  .max(64)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe(
    'Mail systems that serve many domains. All domains whose MX hosts match share the limits of the first provider that matches. Mail to hosts of the manifest has none. Default: each domain is a destination of its own.',
  );
