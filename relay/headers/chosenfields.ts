/** The fields that `spec.headers` removes and adds. Pure. */
import { NEEDED_FIELDS } from '#crds/headerrules.ts';

const NEEDED = new RegExp(NEEDED_FIELDS);

/** `patterns`: names, or a beginning of names before a star. A field without which nobody can read a message stays. */
export function compileRemoval(patterns: readonly string[]): (name: string) => boolean {
  const lower = patterns.map((pattern) => pattern.toLowerCase());
  const exact = new Set(lower.filter((pattern) => !pattern.endsWith('*')));
  const beginnings = lower.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (name) =>
    (exact.has(name) || beginnings.some((beginning) => name.startsWith(beginning))) && !NEEDED.test(name);
}

/** The text of the fields that a message has not. */
export function addChosen(
  fields: readonly { readonly name: string; readonly value: string }[],
  has: (name: string) => boolean,
): string {
  return fields
    .filter(({ name }) => !has(name.toLowerCase()))
    .map(({ name, value }) => `${name}: ${value}\r\n`)
    .join('');
}
