/**
 * Checks a MailRelay document without an API server: the shapes of mailrelay.ts, unknown fields, and the rules of
 * rules.ts. Returns the typed document, or all faults at once, one sentence for each, with the path of the field. Pure.
 */
import { z } from 'zod';
import { findSharedSecret, nameField } from './certificatesecrets.ts';
import type { Key } from './culprits.ts';
import { type MailRelaySpec, mailRelaySpec } from './mailrelay.ts';
import { findNearest } from './nearest.ts';
import { objectMeta } from './objectmeta.ts';
import { listBrokenRules } from './partialrules.ts';
import { NAME_RULE, RULES } from './rules.ts';
import { describeForm, describeValueFault, quote } from './valuefault.ts';
import { API_VERSION, KIND } from './wellknown.ts';

export interface Fault {
  /** value: the field cannot have this value. field: there is no such field. rule: it does not fit other fields. */
  readonly kind: 'value' | 'field' | 'rule';
  /** From the top of the document. */
  readonly keys: readonly Key[];
  /** The same as text: spec.inbound.listeners[0].port. */
  readonly path: string;
  readonly message: string;
}

export interface ValidManifest {
  readonly name: string;
  /** "default" where the document names none. */
  readonly namespace: string;
  readonly namesNamespace: boolean;
  readonly spec: MailRelaySpec;
}

export type Validated = { kind: 'valid'; manifest: ValidManifest } | { kind: 'invalid'; faults: Fault[] };

const document = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: objectMeta,
  spec: mailRelaySpec,
  // The API server passes over what a manifest says of it.
  status: z.unknown().optional(),
});

/** `value` is one parsed YAML document. */
export function validateMailRelay(value: unknown): Validated {
  const result = document.safeParse(value, { error: describeValueFault });
  const { spec, metadata } = (value ?? {}) as { spec?: unknown; metadata?: { name?: unknown } };
  const wrong = result.success ? [] : listValueFaults(result.error.issues, value);
  const faulty = new Set(wrong.map(({ keys }) => keys.join('.')));
  const faults = [
    ...wrong,
    ...listUnknownFields(document, value, []),
    ...judgeName(metadata?.name),
    ...(faulty.has('') || faulty.has('spec') ? [] : judgeRules(result.data?.spec ?? spec, faulty)),
  ];
  if (!result.success || faults.length > 0) return { kind: 'invalid', faults };
  const { name, namespace } = result.data.metadata;
  const shared = judgeSecrets(name, result.data.spec);
  if (shared.length > 0) return { kind: 'invalid', faults: shared };
  const place = { namespace: namespace ?? 'default', namesNamespace: namespace !== undefined };
  return { kind: 'valid', manifest: { name, ...place, spec: result.data.spec } };
}

/** One for each field: the last one says most, because the bounds of a text come before its form. */
function listValueFaults(issues: readonly z.core.$ZodIssue[], value: unknown): Fault[] {
  const faults = issues.map((issue) => {
    const keys = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    const given = readKeys(value, keys);
    const more =
      issue.code === 'invalid_format' ? `, not ${quote(given)}${describeForm(given, issue.pattern)}` : '';
    return makeFault('value', keys, `${issue.message}${more}`);
  });
  return [...new Map(faults.map((fault) => [fault.path, fault])).values()];
}

function judgeName(name: unknown): Fault[] {
  if (typeof name !== 'string' || NAME_RULE.holds(name)) return [];
  return [makeFault('rule', ['metadata', 'name'], NAME_RULE.message)];
}

function judgeSecrets(name: string, spec: MailRelaySpec): Fault[] {
  const [first, second] = findSharedSecret(name, spec) ?? [];
  if (!first || !second) return [];
  const message = `the certificates of ${nameField(first.keys)} and ${nameField(second.keys)} have one Secret, ${second.secret}, and cert-manager would overwrite one by the other: set another secretName`;
  return [makeFault('rule', ['spec', ...second.keys], message)];
}

function judgeRules(spec: unknown, faulty: ReadonlySet<string>): Fault[] {
  return listBrokenRules(RULES, spec, faulty).map(({ keys, value, message }) =>
    makeFault(
      'rule',
      keys,
      ['string', 'number'].includes(typeof value) ? `${message} (it is ${quote(value)})` : message,
    ),
  );
}

/** Fields that the schema does not know, which `kubectl apply` refuses too (strict field validation). */
function listUnknownFields(schema: z.core.$ZodType, value: unknown, keys: readonly Key[]): Fault[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return listUnknownFields(schema.unwrap(), value, keys);
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.flatMap((item, index) => listUnknownFields(schema.element, item, [...keys, index]));
  if (!(schema instanceof z.ZodObject) || !isObject(value)) return [];
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (field) return listUnknownFields(field, inner, [...keys, key]);
    const meant = findNearest(key, Object.keys(shape));
    const cure = meant === undefined ? 'remove it, or see docs/reference.md' : `did you mean ${meant}?`;
    return [makeFault('field', [...keys, key], `there is no such field: ${cure}`)];
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function makeFault(kind: Fault['kind'], keys: readonly Key[], message: string): Fault {
  return { kind, keys, path: printPath(keys), message };
}

export function printPath(keys: readonly Key[]): string {
  const path = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
  return path.slice(1) || 'the document';
}

function readKeys(value: unknown, keys: readonly Key[]): unknown {
  return keys.reduce<unknown>((inner, key) => (inner as Record<Key, unknown> | undefined)?.[key], value);
}
