/** The CRDs of others, from their Go modules, and what they do not allow. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { sourcesOf } from '#test/cluster/programs.ts';

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

/** The schema of a spec. `at` is a Go module (path@version), `path` that of the CRD in it; `name` is the version of the API. */
export async function specSchema(at: string, path: string, name?: string): Promise<Schema> {
  const crd = parse(readFileSync(join(await sourcesOf(at), path), 'utf8'));
  const versions: { name: string; schema: { openAPIV3Schema: Schema } }[] = crd.spec.versions;
  const version = name === undefined ? versions[0] : versions.find((one) => one.name === name);
  const schema = version?.schema.openAPIV3Schema.properties?.['spec'];
  if (!schema) throw new TypeError(`${path} has no version ${name}`);
  return schema;
}

/** The paths of what the schema does not allow. */
export function faultsOf(value: unknown, schema: Schema | undefined, path: string): string[] {
  if (!schema) return [`${path} is unknown`];
  if (Array.isArray(value)) return value.flatMap((item) => faultsOf(item, schema.items, `${path}[]`));
  if (typeof value === 'object' && value !== null) {
    if (schema['x-kubernetes-preserve-unknown-fields']) return [];
    const missing = (schema.required ?? []).filter((key) => !Object.hasOwn(value, key));
    const inner = Object.entries(value).flatMap(([key, one]) =>
      faultsOf(one, schema.properties?.[key] ?? schema.additionalProperties, `${path}.${key}`),
    );
    return [...missing.map((key) => `${path}.${key} is missing`), ...inner];
  }
  return isAllowed(value, schema) ? [] : [`${path} cannot be ${value}`];
}

function isAllowed(value: unknown, schema: Schema): boolean {
  const isEither =
    schema['x-kubernetes-int-or-string'] === true && ['string', 'number'].includes(typeof value);
  const isTyped =
    isEither || typeof value === schema.type || (schema.type === 'integer' && Number.isInteger(value));
  const isChoice = schema.enum === undefined || schema.enum.includes(value);
  return isTyped && isChoice && new RegExp(schema.pattern ?? '').test(String(value));
}
