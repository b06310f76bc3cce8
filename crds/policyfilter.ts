/** The content filter in the policy file, and what each listener does with it. Part of policyfile.ts. */
import { z } from 'zod';

export const FILTER_FAILURES = ['Tempfail', 'Accept'] as const;

export const filter = z.strictObject({
  /** With its path. */
  url: z.string(),
  /** Secret with the password; null: there is none. */
  secret: z.string().nullable(),
  /** ConfigMap with the authorities; null: the public roots of the runtime. */
  trustConfigMap: z.string().nullable(),
});

export const listenerFilter = z.strictObject({
  timeoutSeconds: z.int().positive(),
  onFailure: z.enum(FILTER_FAILURES),
});

export type FilterTerms = z.infer<typeof listenerFilter>;
