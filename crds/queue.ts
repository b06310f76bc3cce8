/** The field spec.queue of a MailRelay: where mail waits, for how long, and what is kept of it. */
import { z } from 'zod';
import { SUPPRESSION_ACTIONS } from './policyqueue.ts';
import { duration, objectName, positiveSize, text } from './shapes.ts';

const suppression = z
  .object({
    duration: duration().describe('How long a recipient is suppressed, from its last bounce, such as 7d.'),
    bounces: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .describe('Suppress after so many bounces within duration. Default: 1.'),
    statuses: z
      .array(
        text(
          '^5\\.([0-9]{1,3}|\\*)\\.([0-9]{1,3}|\\*)$',
          9,
          'a permanent status of RFC 3463, such as 5.1.1, or 5.1.* for all of its kind',
        ),
      )
      .min(1)
      .max(32)
      .optional()
      .describe(
        'Which answers of next hops count, by status (RFC 3463). Default: 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10 and 5.2.1, which say that the address does not exist or takes no mail.',
      ),
    action: z
      .enum(SUPPRESSION_ACTIONS)
      .optional()
      .describe(
        'Refuse (the default): the client gets 550 5.7.1. Discard: the client gets 250, and the recipient gets no mail and nobody a report; for applications that cannot be refused.',
      ),
  })
  .describe(
    'Takes no mail for recipients that next hops refused for good, for some time: repeated mail to addresses that do not exist spoils the reputation of a sender. Each pod knows its own.',
  );

export const queue = z
  .object({
    mode: z
      .enum(['Durable', 'CutThrough'])
      .optional()
      .describe(
        'Durable (the default): a message is on disk before it is acknowledged. CutThrough: nothing is kept; a message is acknowledged when its next hop has it, one recipient per transaction. Cannot be changed.',
      ),
    storage: z
      .object({
        size: positiveSize()
          .optional()
          .describe('Size of the claim of each pod. Default: 1Gi. Not less than the volumes have.'),
        className: objectName()
          .optional()
          .describe('StorageClass of the claims. Default: the default class.'),
      })
      .optional()
      .describe('The volume that keeps the queue of a pod.'),
    expireAfter: duration()
      .optional()
      .describe(
        'How long mail is retried before it is returned to its sender, such as 5d or 36h. Default: 5d.',
      ),
    delayWarningAfter: duration()
      .optional()
      .describe(
        'How long mail waits before its sender is told that it is delayed; once per message. "0s": never. Default: 4h.',
      ),
    maxMessages: z
      .int()
      .min(1)
      .max(100_000_000)
      .optional()
      .describe(
        'Most messages in the queue of a pod; beyond them clients get "452 4.3.1" until it is shorter. Default: unlimited.',
      ),
    maxSize: positiveSize()
      .optional()
      .describe(
        'Most bytes in the queue of a pod; beyond them clients get "452 4.3.1". Default: what the volume holds, less a reserve.',
      ),
    history: duration()
      .optional()
      .describe(
        'How long the relay keeps who sent which mail to whom and what the next hops answered, for "mailrelay find": such as 7d, from the receipt of a message. No bodies; on the volume of the pod, at most a tenth of it and 1Gi. Default: nothing is kept.',
      ),
    suppression: suppression.optional(),
  })
  .describe('The queue of each pod.');
