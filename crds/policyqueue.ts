/** The queue in the policy file, and who is told what becomes of its mail. Part of policyfile.ts. */
import { z } from 'zod';

export const SUPPRESSION_ACTIONS = ['Refuse', 'Discard'] as const;

export const queue = z.strictObject({
  mode: z.enum(['Durable', 'CutThrough']),
  expireAfterSeconds: z.int().positive(),
  /** null: never. */
  delayWarningSeconds: z.int().positive().nullable(),
  /** null: unlimited. */
  maxMessages: z.int().positive().nullable(),
  maxBytes: z.int().positive().nullable(),
  /** How long the history of a message is kept; null: there is none. */
  historySeconds: z.int().positive().nullable(),
  /** null: no recipient is suppressed. */
  suppression: z
    .strictObject({
      seconds: z.int().positive(),
      bounces: z.int().positive(),
      /** With stars. */
      statuses: z.array(z.string()),
      action: z.enum(SUPPRESSION_ACTIONS),
    })
    .nullable(),
});

/** A receiver of events (Standard Webhooks). */
export const events = z.strictObject({
  url: z.string(),
  /** Secret with the keys of the signature. */
  secret: z.string(),
  /** ConfigMap with the authorities; null: the public roots of the runtime. */
  trustConfigMap: z.string().nullable(),
});
