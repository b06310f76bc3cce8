/** The metadata of an object as the API server takes it in a manifest. Pure. */
import { z } from 'zod';
import { labelKey, labelValue } from './shapes.ts';

const MOST_KEY_NAME = 63;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Names with a form of their own, unlike those of a map in the spec, whose keys a CRD cannot check. */
const named = <Value extends z.ZodType>(value: Value) =>
  z.record(z.string(), value).superRefine((entries, { addIssue }) => {
    for (const key of Object.keys(entries))
      if (!isKey(key))
        addIssue({ code: 'custom', path: [key], message: 'must have a name such as example.com/mail' });
  });

/** The part behind the slash has a bound of its own. */
function isKey(key: string): boolean {
  return labelKey().safeParse(key).success && (key.split('/').at(-1) ?? '').length <= MOST_KEY_NAME;
}

/** What the API server writes itself. It is in manifests that were read out of a cluster. */
const WRITTEN = {
  creationTimestamp: z.unknown().optional(),
  deletionGracePeriodSeconds: z.unknown().optional(),
  deletionTimestamp: z.unknown().optional(),
  generation: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  selfLink: z.unknown().optional(),
  uid: z.unknown().optional(),
};

export const objectMeta = z.object({
  name: z.string(),
  generateName: z.string().optional(),
  namespace: z
    .string()
    .regex(NAMESPACE, 'must be the name of a namespace: at most 63 lower-case letters, digits and hyphens')
    .optional(),
  labels: named(labelValue()).nullish(),
  annotations: named(z.string()).nullish(),
  finalizers: z.array(z.string()).nullish(),
  ...WRITTEN,
});
