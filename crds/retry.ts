/** The field retry of a route and of a provider: when mail that waits is tried again. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { duration } from './shapes.ts';

/** `usual`: what holds without the field. */
export const retry = (usual: string) =>
  z
    .object({
      minBackoff: duration()
        .optional()
        .describe(
          'First pause after an attempt in vain, at least 1s. Further ones are 2, 5, 10, 20, 40 times as long, and so on up to maxBackoff. Needs maxBackoff.',
        ),
      maxBackoff: duration()
        .optional()
        .describe(
          'Longest pause between two attempts, less than the mail waits before it expires. Needs minBackoff.',
        ),
      expireAfter: duration()
        .optional()
        .describe(
          'How long mail is retried before it is returned to its sender. Default: queue.expireAfter.',
        ),
    })
    .describe(`When mail that waits is tried again. Default: ${usual}.`);
