/**
 * Checks a MailRelay document without an API server: the shapes of mailrelay.ts, unknown fields, then the rules of
 * rules.ts. Returns the typed document, or one sentence for each fault, with the path of the field. Pure.
 */
import { z } from 'zod';
import { type MailRelaySpec, mailRelaySpec } from './mailrelay.ts';
import { NAME_RULE, RULES } from './rules.ts';
import { API_VERSION, KIND } from './wellknown.ts';

interface Fault {
  readonly path: string;
  readonly message: string;
}

export interface ValidManifest {
  readonly name: string;
  readonly namespace: string;
  readonly spec: MailRelaySpec;
}

export type Validated = { kind: 'valid'; manifest: ValidManifest } | { kind: 'invalid'; faults: Fault[] };

const document = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().default('default') }),
  spec: mailRelaySpec,
});

/** `value` is one parsed YAML document. */
export function validateMailRelay(value: unknown): Validated {
  const result = document.safeParse(value);
  const unknown = unknownFields(mailRelaySpec, (value as { spec?: unknown } | null)?.spec, 'spec');
  if (!result.success)
    return { kind: 'invalid', faults: [...unknown, ...result.error.issues.map(describeIssue)] };
  if (unknown.length > 0) return { kind: 'invalid', faults: unknown };
  const { metadata, spec } = result.data;
  const faults = RULES.filter((rule) => !rule.holds(spec)).map(({ path, message }) => ({ path, message }));
  if (!NAME_RULE.holds(metadata.name)) faults.unshift({ path: 'metadata.name', message: NAME_RULE.message });
  if (faults.length > 0) return { kind: 'invalid', faults };
  return { kind: 'valid', manifest: { name: metadata.name, namespace: metadata.namespace, spec } };
}

function describeIssue(issue: z.core.$ZodIssue): Fault {
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return { path: path.slice(1) || 'the document', message: issue.message };
}

/** Fields that the schema does not know, which `kubectl apply` refuses too (strict field validation). */
function unknownFields(schema: z.core.$ZodType, value: unknown, path: string): Fault[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return unknownFields(schema.unwrap(), value, path);
  }
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    return value.flatMap((item, index) => unknownFields(schema.element, item, `${path}[${index}]`));
  }
  if (!(schema instanceof z.ZodObject) || value === null || typeof value !== 'object') return [];
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = shape[key];
    const at = `${path}.${key}`;
    return field ? unknownFields(field, inner, at) : [{ path: at, message: 'there is no such field' }];
  });
}
