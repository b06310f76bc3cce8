/**
 * Makes a value fit the bounds of a schema: strings and lists are cut, numbers move to the nearest allowed one, and
 * fields that the schema does not know are left out. Code that reads the status of a pod or writes a status uses it,
 * because one value that is too large would make the whole object invalid. The work is bounded by the schema, whatever
 * the value is. The schema still refuses every other fault. Pure.
 */
import { z } from 'zod';
import { cutText } from './cut.ts';

interface Bounds {
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Bounds;
  readonly properties?: Readonly<Record<string, Bounds>>;
  readonly anyOf?: readonly Bounds[];
  readonly type?: string;
}

/** Returns a function, so that the bounds of a schema are computed only once. */
export function fitter<Value>(schema: z.ZodType<Value>): (value: unknown) => unknown {
  let bounds: Bounds | undefined;
  return (value) => {
    bounds ??= z.toJSONSchema(schema, { io: 'input' }) as Bounds;
    return fitted(bounds, value);
  };
}

function fitted(bounds: Bounds, value: unknown): unknown {
  const { maxLength, maxItems, minimum = -Infinity, maximum = Infinity, items, properties } = bounds;
  if (bounds.anyOf) return fitted(bounds.anyOf.find(({ type }) => type !== 'null') ?? {}, value);
  if (typeof value === 'string') return cut(value, maxLength);
  if (typeof value === 'number') return Math.min(Math.max(value, minimum), maximum);
  if (Array.isArray(value)) {
    const taken = value.slice(0, maxItems);
    return items ? taken.map((item) => fitted(items, item)) : taken;
  }
  if (typeof value !== 'object' || value === null || !properties) return value;
  // Not over the fields of the value: a stranger can send a hundred thousand.
  return Object.fromEntries(
    Object.entries(properties).flatMap(([field, inner]) =>
      Object.hasOwn(value, field) ? [[field, fitted(inner, value[field as keyof typeof value])]] : [],
    ),
  );
}

/** The API server would replace half a character by another one. */
function cut(text: string, length: number | undefined): string {
  const isLong = length !== undefined && text.length > length;
  const whole = (isLong ? cutText(text, length) : text).toWellFormed();
  // A copy: a slice would keep all of the long text in memory.
  return isLong ? Buffer.from(whole).toString() : whole;
}
